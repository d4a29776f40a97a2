package service

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
)

// dynamoDBPom names the server and, with it, its version.
//
//go:embed dynamodb.pom.xml
var dynamoDBPom []byte

const dynamoDBVersion = "3.3.1"

// startDynamoDB starts DynamoDB Local, Amazon's own stand-in for DynamoDB, which keeps everything in memory.
func startDynamoDB(ctx context.Context) (*Server, error) {
	java, err := exec.LookPath("java")
	if err != nil {
		return nil, missing("java", "default-jre-headless", "openjdk")
	}
	jars, err := fetchJars(ctx, "dynamodb-local-"+dynamoDBVersion, dynamoDBPom)
	if err != nil {
		return nil, err
	}
	var url string
	server, err := launch(ctx, func(_ string, port int) (*exec.Cmd, func(context.Context) error, error) {
		url = fmt.Sprintf("http://127.0.0.1:%d", port)
		// A small heap, and a compiler and collector that start fast: it serves one test run. SQLite comes with the jars.
		cmd := exec.CommandContext(context.WithoutCancel(ctx), java, "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
			"-Djava.library.path="+jars, "-cp", filepath.Join(jars, "*"),
			"software.amazon.dynamodb.services.local.main.ServerRunner", "-inMemory", "-disableTelemetry", "-port", strconv.Itoa(port))
		return cmd, func(ctx context.Context) error { return touch(ctx, url) }, nil
	})
	if err != nil {
		return nil, fmt.Errorf("start DynamoDB Local: %w", err)
	}
	server.URL = url
	return server, nil
}

// touch asks for nothing in particular, without credentials: the server answers with its error for that once it works.
func touch(ctx context.Context, url string) (err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("touch: %w", err)
	}
	req.Close = true // the connection would stay open until the server ends
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("touch: %w", err)
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return fmt.Errorf("touch: %w", err)
	}
	if resp.StatusCode != http.StatusBadRequest {
		return fmt.Errorf("touch: %s", resp.Status)
	}
	return nil
}
