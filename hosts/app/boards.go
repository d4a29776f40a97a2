package app

import (
	"context"
	"fmt"
	"net/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"wafleet/shared/health"
)

// Boards are where a host reports its health to beside Redis: the DynamoDB table of that name, in the account and region
// that the environment says as for every program of AWS. No name, no board.
func Boards(ctx context.Context, table string) (map[string]health.Board, error) {
	if table == "" {
		return nil, nil
	}
	// One report in ten seconds is not worth a connection that nobody would close.
	client := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.DisableKeepAlives = true })
	aws, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithHTTPClient(client))
	if err != nil {
		return nil, fmt.Errorf("read AWS configuration: %w", err)
	}
	return map[string]health.Board{"dynamodb": health.NewDynamoBoard(aws, table, "")}, nil
}
