package api

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"wafleet/shared/ratelimit"
	"wafleet/shared/rpc"
)

const (
	// contactLife and strangerLife are how long it is believed that a number is on WhatsApp, and that it is not: people
	// join more often than they leave.
	contactLife, strangerLife = 24 * time.Hour, time.Hour
	// memoryTimeout bounds a look into the memory: without it WhatsApp is asked.
	memoryTimeout = 50 * time.Millisecond
)

// contacts is what is known of the numbers that companies asked about, each company for itself, and how many more each may
// ask about.
type contacts struct {
	redis  redis.UniversalClient
	budget *ratelimit.Contacts
	logger *slog.Logger
}

func newContacts(client redis.UniversalClient, logger *slog.Logger) *contacts {
	return &contacts{redis: client, budget: ratelimit.NewContacts(client, logger), logger: logger}
}

// recall returns what is known; nothing, where Redis does not say.
func (c *contacts) recall(ctx context.Context, companyID string, numbers []string) map[string]rpc.ContactFound {
	known := make(map[string]rpc.ContactFound, len(numbers))
	keys := make([]string, len(numbers))
	for i, number := range numbers {
		keys[i] = contactKey(companyID, number)
	}
	ctx, cancel := context.WithTimeout(ctx, memoryTimeout)
	defer cancel()
	values, err := c.redis.MGet(ctx, keys...).Result()
	if err != nil {
		c.logger.DebugContext(ctx, "recall contacts", "error", err)
		return known
	}
	for i, value := range values {
		text, _ := value.(string)
		var found rpc.ContactFound
		if json.Unmarshal([]byte(text), &found) == nil {
			known[numbers[i]] = found
		}
	}
	return known
}

// remember keeps answers. What cannot be kept is asked for again.
func (c *contacts) remember(ctx context.Context, companyID string, found []rpc.ContactFound) {
	ctx, cancel := context.WithTimeout(ctx, memoryTimeout)
	defer cancel()
	pipe := c.redis.Pipeline()
	for _, f := range found {
		value, err := json.Marshal(f)
		if err != nil {
			continue
		}
		life := contactLife
		if !f.Exists {
			life = strangerLife
		}
		pipe.Set(ctx, contactKey(companyID, f.Phone), value, life)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		c.logger.DebugContext(ctx, "remember contacts", "error", err)
	}
}

// contactKey tells no number: who looks at the keys of a Redis should not read address books.
func contactKey(companyID, number string) string {
	sum := sha256.Sum256([]byte(companyID + "|" + number))
	return "wafleet:{" + companyID + "}:contact:" + base64.RawURLEncoding.EncodeToString(sum[:16])
}
