package local

import (
	"context"
	"crypto/rand"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/require"

	fleet "wafleet/shared/health"
	"wafleet/shared/store/pgtest"
)

// With HEALTH_TABLE the host of `wafleet serve` reports to DynamoDB as well, and takes its report down when it ends.
func TestHealthTable(t *testing.T) { //nolint:paralleltest // one system at a time, and it sets variables
	url := os.Getenv("TEST_DYNAMODB_URL")
	if url == "" {
		if os.Getenv("REQUIRE_ALL") == "1" {
			t.Fatal("TEST_DYNAMODB_URL is not set: run make test")
		}
		t.Skip("TEST_DYNAMODB_URL is not set: run make test")
	}
	key, table := rand.Text(), "t"+rand.Text()
	for name, value := range map[string]string{
		"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": "secret", "AWS_ENDPOINT_URL_DYNAMODB": url,
	} {
		t.Setenv(name, value)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // it is documented
	t.Cleanup(transport.CloseIdleConnections)
	config := aws.Config{
		Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider(key, "secret", ""), HTTPClient: &http.Client{Transport: transport},
	}
	client := dynamodb.NewFromConfig(config, func(o *dynamodb.Options) { o.BaseEndpoint = &url })
	_, err := client.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: &table, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String(fleet.HostAttribute), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String(fleet.HostAttribute), KeyType: types.KeyTypeHash}},
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := client.DeleteTable(context.WithoutCancel(t.Context()), &dynamodb.DeleteTableInput{TableName: &table})
		require.NoError(t, err)
	})
	board := fleet.NewDynamoBoard(config, table, url)

	s, _ := newSystem(t, settings(t, "DATABASE_URL="+pgtest.URL(t), "HEALTH_TABLE="+table))
	require.NoError(t, s.Start(t.Context()))
	require.Eventually(t, func() bool {
		reports, err := board.Reports(t.Context())
		return err == nil && len(reports) == 1 && reports[0].Shards == 4
	}, 30*time.Second, 50*time.Millisecond)
	stop(t, s)
	reports, err := board.Reports(t.Context())
	require.NoError(t, err)
	require.Empty(t, reports)
}
