package health

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

const dynamoTimeout = 2 * time.Second

// The attributes of an item. The partition key is HostAttribute, a string, and there is no sort key; the table's time to live
// is to be set on ExpiryAttribute.
const (
	HostAttribute   = "host_id"
	ExpiryAttribute = "expires_at" // Unix seconds
	reportAttribute = "report"     // JSON
)

// DynamoBoard shows reports in a DynamoDB table, one item for each host. Beside the report itself an item has what
// autoscaling and dashboards read as attributes of their own: version, draining, shards, sockets, sessions, load, memory_bytes.
type DynamoBoard struct {
	client *dynamodb.Client
	table  string
}

var _ Board = (*DynamoBoard)(nil)

// NewDynamoBoard returns the board in a table that is there. An endpoint is for tests; empty means Amazon's own.
func NewDynamoBoard(config aws.Config, table, endpoint string) *DynamoBoard {
	client := dynamodb.NewFromConfig(config, func(o *dynamodb.Options) {
		if endpoint != "" {
			o.BaseEndpoint = &endpoint
		}
	})
	return &DynamoBoard{client: client, table: table}
}

// Put implements Board. It depends on nothing that is in the table.
func (b *DynamoBoard) Put(ctx context.Context, r Report) error {
	body, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	sessions := make(map[string]types.AttributeValue, len(r.Sessions))
	for state, n := range r.Sessions {
		sessions[string(state)] = number(n)
	}
	ctx, cancel := context.WithTimeout(ctx, dynamoTimeout)
	defer cancel()
	_, err = b.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &b.table, Item: map[string]types.AttributeValue{
		HostAttribute:   text(r.HostID),
		ExpiryAttribute: number(r.ReportedAt.Add(Lifetime).Unix()),
		reportAttribute: text(string(body)),
		"version":       text(r.Version),
		"draining":      &types.AttributeValueMemberBOOL{Value: r.Draining},
		"shards":        number(r.Shards),
		"sockets":       number(r.Sockets),
		"sessions":      &types.AttributeValueMemberM{Value: sessions},
		"load":          &types.AttributeValueMemberN{Value: strconv.FormatFloat(r.Load, 'f', 3, 64)},
		"memory_bytes":  number(r.MemoryBytes),
	}})
	if err != nil {
		return fmt.Errorf("put report: %w", err)
	}
	return nil
}

// Withdraw implements Board.
func (b *DynamoBoard) Withdraw(ctx context.Context, hostID string) error {
	ctx, cancel := context.WithTimeout(ctx, dynamoTimeout)
	defer cancel()
	_, err := b.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: &b.table, Key: map[string]types.AttributeValue{HostAttribute: text(hostID)},
	})
	if err != nil {
		return fmt.Errorf("withdraw report: %w", err)
	}
	return nil
}

// Reports implements Board. Items whose time is over may still be there, since DynamoDB removes them within days only; they
// are left out by this process's clock.
func (b *DynamoBoard) Reports(ctx context.Context) ([]Report, error) {
	ctx, cancel := context.WithTimeout(ctx, dynamoTimeout)
	defer cancel()
	var reports []Report
	pages := dynamodb.NewScanPaginator(b.client, &dynamodb.ScanInput{
		TableName: &b.table, ConsistentRead: aws.Bool(true), FilterExpression: aws.String("#e > :now"),
		ExpressionAttributeNames:  map[string]string{"#e": ExpiryAttribute},
		ExpressionAttributeValues: map[string]types.AttributeValue{":now": number(time.Now().Unix())},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("read reports: %w", err)
		}
		for _, item := range page.Items {
			body, ok := item[reportAttribute].(*types.AttributeValueMemberS)
			if !ok {
				continue // not written by us
			}
			var r Report
			if err := json.Unmarshal([]byte(body.Value), &r); err != nil {
				return nil, fmt.Errorf("decode report: %w", err)
			}
			reports = append(reports, r)
		}
	}
	slices.SortFunc(reports, func(x, y Report) int { return cmp.Compare(x.HostID, y.HostID) })
	return reports, nil
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number[N int | int64](n N) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(int64(n), 10)}
}
