package api //nolint:testpackage // compares the table of routes, which is nobody else's business

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"wafleet/functions/internal/auth"
	contract "wafleet/shared/api"
	"wafleet/shared/message"
	"wafleet/shared/session"
	"wafleet/shared/webhook"
)

type operation struct {
	Tags     []string
	Security []map[string][]string
}

type document struct {
	Paths      map[string]struct{ Get, Put, Post, Patch, Delete *operation }
	Components struct {
		Schemas map[string]struct{ Enum []string }
	}
}

func parseContract(t *testing.T) document {
	t.Helper()
	var d document
	require.NoError(t, yaml.Unmarshal(contract.Contract, &d))
	return d
}

func TestRoutesAreTheContracts(t *testing.T) {
	t.Parallel()
	documented := map[string]route{}
	for path, item := range parseContract(t).Paths {
		for method, op := range map[string]*operation{"GET": item.Get, "PUT": item.Put, "POST": item.Post, "PATCH": item.Patch, "DELETE": item.Delete} {
			if op == nil {
				continue
			}
			require.Len(t, op.Tags, 1, path)
			r := route{tag: op.Tags[0]}
			require.NotEmpty(t, op.Security, path)
			for _, alternative := range op.Security {
				for _, scopes := range alternative {
					if len(scopes) > 0 {
						require.Len(t, scopes, 1)
						r.scope = auth.Scope(scopes[0])
					}
				}
			}
			documented[method+" "+path] = r
		}
	}
	require.Equal(t, documented, routes)
}

// Every route reaches the function that its tag names, and no other does.
func TestTheTemplateHasEveryRoute(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../template.yaml")
	require.NoError(t, err)
	var template struct {
		Resources map[string]struct {
			Properties struct {
				CodeURI string `yaml:"CodeUri"`
				Events  map[string]struct {
					Type       string `yaml:"Type"`
					Properties struct {
						Method string `yaml:"Method"`
						Path   string `yaml:"Path"`
					} `yaml:"Properties"`
				} `yaml:"Events"`
			} `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	require.NoError(t, yaml.Unmarshal(text, &template))
	wired := map[string]string{}
	for _, resource := range template.Resources {
		for _, event := range resource.Properties.Events {
			if event.Type == "HttpApi" {
				path := strings.TrimPrefix(event.Properties.Path, contract.BasePath)
				wired[event.Properties.Method+" "+path] = strings.Trim(strings.TrimPrefix(resource.Properties.CodeURI, "functions"), "/")
			}
		}
	}
	want := map[string]string{}
	for pattern, r := range routes {
		want[pattern] = r.tag
	}
	require.Equal(t, want, wired)
}

func TestEnumsAreTheDomains(t *testing.T) {
	t.Parallel()
	schemas := parseContract(t).Components.Schemas
	require.ElementsMatch(t, append(words(message.Statuses()), string(message.Received)), schemas["MessageStatus"].Enum)
	require.ElementsMatch(t, words(session.States()), schemas["SessionState"].Enum)
	require.ElementsMatch(t, webhook.EventTypes(), schemas["EventType"].Enum)
	require.ElementsMatch(t, words([]auth.Scope{auth.Send, auth.Read, auth.Session, auth.Webhook, auth.Admin}), schemas["Scope"].Enum)
}

func TestPreferred(t *testing.T) {
	t.Parallel()
	offers := []string{"application/json", "image/png", "image/svg+xml"}
	for accept, want := range map[string]string{
		"":                                   "application/json",
		"*/*":                                "application/json",
		"image/png":                          "image/png",
		"image/svg+xml, image/png":           "image/png",
		"image/svg+xml;q=1, image/png;q=0.9": "image/svg+xml",
		"image/*":                            "image/png",
		"image/*, image/png;q=0":             "image/svg+xml",
		"text/html, image/avif, */*;q=0.8":   "application/json",
		"nonsense":                           "application/json",
	} {
		require.Equal(t, want, preferred(accept, offers...), accept)
	}
}
