package service

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// elasticMQPom names the server and, with it, its version; a change of it is fetched into another folder.
//
//go:embed elasticmq.pom.xml
var elasticMQPom []byte

//go:embed elasticmq.conf
var elasticMQConfig string

const elasticMQVersion = "1.7.1"

// startElasticMQ starts ElasticMQ, a server with the interface of SQS that this project did not write.
func startElasticMQ(ctx context.Context) (*Server, error) {
	java, err := exec.LookPath("java")
	if err != nil {
		return nil, missing("java", "default-jre-headless", "openjdk")
	}
	jars, err := fetchJars(ctx, "elasticmq-"+elasticMQVersion, elasticMQPom)
	if err != nil {
		return nil, err
	}
	var url string
	server, err := launch(ctx, func(dir string, port int) (*exec.Cmd, func(context.Context) error, error) {
		config := filepath.Join(dir, "elasticmq.conf")
		content := strings.ReplaceAll(elasticMQConfig, "{port}", strconv.Itoa(port))
		if err := os.WriteFile(config, []byte(content), 0o600); err != nil {
			return nil, nil, fmt.Errorf("write configuration: %w", err)
		}
		url = fmt.Sprintf("http://127.0.0.1:%d", port)
		// A small heap, and a compiler and collector that start fast: it serves one test run.
		cmd := exec.CommandContext(context.WithoutCancel(ctx), java, "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
			"-Dconfig.file="+config, "-cp", filepath.Join(jars, "*"), "org.elasticmq.server.Main")
		return cmd, func(ctx context.Context) error { return listQueues(ctx, url) }, nil
	})
	if err != nil {
		return nil, fmt.Errorf("start ElasticMQ: %w", err)
	}
	server.URL = url
	return server, nil
}

func listQueues(ctx context.Context, url string) (err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/?Action=ListQueues", nil)
	if err != nil {
		return fmt.Errorf("list queues: %w", err)
	}
	req.Close = true // the connection would stay open until the server ends
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("list queues: %w", err)
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return fmt.Errorf("list queues: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("list queues: %s", resp.Status)
	}
	return nil
}
