// Package apigw lets an http.Handler answer the events of an API Gateway HTTP API (payload format 2.0).
package apigw
