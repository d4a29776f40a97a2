package queue

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNames(t *testing.T) {
	t.Parallel()
	require.Equal(t, "sends-00.fifo", Sends(0))
	require.Equal(t, "sends-63.fifo", Sends(63))
	require.Equal(t, "sends-1023.fifo", Sends(1023))
	require.Equal(t, "sends-07-dlq.fifo", DeadLetters(Sends(7)))
	require.Equal(t, "bulk-dlq", DeadLetters(Bulk))
}

func TestDefinitions(t *testing.T) {
	t.Parallel()
	const shards = 64
	all := Definitions(shards)
	byName := make(map[string]Definition)
	for _, d := range all {
		require.NoError(t, d.Validate(all), d.Name)
		require.NotContains(t, byName, d.Name)
		byName[d.Name] = d
	}
	require.Len(t, byName, 2*(shards+3))
	for _, name := range []string{Sends(0), Sends(shards - 1), Bulk, Batches, Webhooks} {
		d, dead := byName[name], byName[DeadLetters(name)]
		require.Equal(t, dead.Name, d.DeadLetters)
		require.Positive(t, d.MaxReceives)
		require.Zero(t, dead.MaxReceives, "a dead letter stays where it is")
		require.Equal(t, strings.HasPrefix(name, "sends-"), d.FIFO())
		require.Equal(t, d.FIFO(), dead.FIFO())
		// Retention counts from the send, so the dead-letter queue has to keep for longer to keep at all.
		require.Greater(t, dead.Retention, d.Retention+7*24*time.Hour)
		// SQS: 1 minute to 14 days, and visibility in whole seconds.
		require.LessOrEqual(t, dead.Retention, 14*24*time.Hour)
		require.Zero(t, d.Visibility%time.Second)
	}
}

func TestDefinitionValidate(t *testing.T) {
	t.Parallel()
	dead := Definition{Name: "jobs-dlq", Visibility: time.Second, Retention: time.Hour}
	sound := Definition{Name: "jobs", Visibility: time.Second, Retention: time.Hour, MaxReceives: 1, DeadLetters: dead.Name}
	all := []Definition{sound, dead, {Name: "dead.fifo"}}
	require.NoError(t, sound.Validate(all))
	require.NoError(t, dead.Validate(all))
	for problem, change := range map[string]func(d *Definition){
		"no name":                    func(d *Definition) { d.Name = "" },
		"only a suffix":              func(d *Definition) { d.Name = ".fifo" },
		"no visibility":              func(d *Definition) { d.Visibility = 0 },
		"too much visibility":        func(d *Definition) { d.Visibility = MaxVisibility + 1 },
		"no retention":               func(d *Definition) { d.Retention = 0 },
		"dead letters without limit": func(d *Definition) { d.MaxReceives = 0 },
		"limit without dead letters": func(d *Definition) { d.DeadLetters = "" },
		"unknown dead letters":       func(d *Definition) { d.DeadLetters = "nowhere" },
		"dead letters of other kind": func(d *Definition) { d.DeadLetters = "dead.fifo" },
		"its own dead-letter queue":  func(d *Definition) { d.DeadLetters = d.Name },
	} {
		d := sound
		change(&d)
		var misuse *MisuseError
		require.ErrorAs(t, d.Validate(all), &misuse, problem)
	}
}
