// Package api is the contract between wafleet and its callers: openapi.yaml, and what is generated from it.
//
// The types and the server interface in api.gen.go come from openapi.yaml; change the contract and run `make generate`.
// What is written by hand here makes the decoding of request bodies exact, which OpenAPI can say
// (additionalProperties: false) and encoding/json by itself cannot do.
package api

import _ "embed"

//go:generate oapi-codegen -config oapi-codegen.yaml openapi.yaml

// BasePath is what every path of the contract starts with.
const BasePath = "/api/whatsapp"

// Contract is openapi.yaml as it was when this process was built.
//
//go:embed openapi.yaml
var Contract []byte
