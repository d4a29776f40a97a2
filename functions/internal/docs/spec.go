package docs

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// spec is what the page shows of the contract, in the contract's order.
type spec struct {
	Info struct {
		Title, Version, Summary, Description string
	}
	Servers []struct{ URL string }
	Tags    []struct{ Name, Description string }
	Errors  []struct {
		Code, Class, Meaning string
		Status               int
		Retryable            bool
	} `yaml:"x-error-catalogue"`
	Paths      ordered[pathItem]
	Webhooks   ordered[pathItem]
	Components struct {
		Schemas    ordered[schema]
		Parameters map[string]parameter
	}
}

// ordered is a mapping in the order in which it is written.
type ordered[T any] []entry[T]

type entry[T any] struct {
	Name  string
	Value T
}

// UnmarshalYAML reads a mapping.
func (o *ordered[T]) UnmarshalYAML(node *yaml.Node) error {
	for i := 0; i+1 < len(node.Content); i += 2 {
		e := entry[T]{Name: node.Content[i].Value}
		if err := node.Content[i+1].Decode(&e.Value); err != nil {
			return fmt.Errorf("%s: %w", e.Name, err)
		}
		*o = append(*o, e)
	}
	return nil
}

type pathItem struct {
	Parameters               []parameter
	Get, Post, Patch, Delete *operation
}

type operation struct {
	Tags                               []string
	OperationID                        string `yaml:"operationId"`
	Summary, Description, Method, Path string
	Parameters                         []parameter
	Security                           []map[string][]string
	RequestBody                        *body `yaml:"requestBody"`
	Responses                          ordered[response]
}

type parameter struct {
	Ref                   string `yaml:"$ref"`
	Name, In, Description string
	Required              bool
}

type body struct {
	Required bool
	Content  map[string]media
}

type media struct {
	Schema  schema
	Example any
}

type response struct {
	Ref         string `yaml:"$ref"`
	Description string
	Content     map[string]media
}

type schema struct {
	Ref                  string `yaml:"$ref"`
	Type                 any
	Format, Description  string
	Enum, Required       []string
	Properties           ordered[schema]
	Items                *schema
	AllOf                []schema `yaml:"allOf"`
	AdditionalProperties any      `yaml:"additionalProperties"`
}

func parse(contract []byte) (*spec, error) {
	var s spec
	if err := yaml.Unmarshal(contract, &s); err != nil {
		return nil, fmt.Errorf("read contract: %w", err)
	}
	return &s, nil
}

// Operations are those of one tag.
func (s *spec) Operations(tag string) []operation {
	var all []operation
	for _, p := range s.Paths {
		for _, known := range []struct {
			method string
			op     *operation
		}{{"get", p.Value.Get}, {"post", p.Value.Post}, {"patch", p.Value.Patch}, {"delete", p.Value.Delete}} {
			op := known.op
			if op == nil || !slices.Contains(op.Tags, tag) {
				continue
			}
			full := *op
			full.Method, full.Path = known.method, s.Servers[0].URL+p.Name
			full.Parameters = s.resolve(slices.Concat(p.Value.Parameters, op.Parameters))
			all = append(all, full)
		}
	}
	return all
}

func (s *spec) resolve(parameters []parameter) []parameter {
	for i, p := range parameters {
		if p.Ref != "" {
			parameters[i] = s.Components.Parameters[lastPart(p.Ref)]
		}
	}
	return parameters
}

// Scope is what a key needs; empty where no key is needed.
func (o operation) Scope() string {
	for _, alternative := range o.Security {
		for _, scopes := range alternative {
			return strings.Join(scopes, ", ")
		}
	}
	return ""
}

// JSON is the JSON form of a body, if it has one.
func (b *body) JSON() media { return b.Content["application/json"] }

// JSON is the JSON form of an answer, if it has one.
func (r response) JSON() media { return r.Content["application/json"] }

// Sample is the example as JSON text.
func (m media) Sample() (string, error) {
	if m.Example == nil {
		return "", nil
	}
	text, err := json.MarshalIndent(m.Example, "", "  ")
	if err != nil {
		return "", fmt.Errorf("encode example: %w", err)
	}
	return string(text), nil
}

// Is says in a few words what a value is.
func (s schema) Is() string {
	switch t := s.Type.(type) {
	case string:
		return strings.TrimSpace(t + " " + s.Format)
	case []any:
		names := make([]string, len(t))
		for i, name := range t {
			names[i] = fmt.Sprint(name)
		}
		return strings.TrimSpace(strings.Join(names, " or ") + " " + s.Format)
	}
	return ""
}

// Needs says whether a property has to be there.
func (s schema) Needs(property string) bool { return slices.Contains(s.Required, property) }
