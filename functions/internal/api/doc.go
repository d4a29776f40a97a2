// Package api answers the HTTP API: one file per resource, around one edge.
//
// A request passes the edge once (edge.go): it gets its id, is routed, authenticated and held to the form that bodies have to
// have, and leaves one line in the log. What the generated server then calls are the methods of API, one for each
// operation of the contract; they return an answer or an error, and the edge turns errors into problems
// (problems.go).
//
// The company that a call acts for comes out of one function (access.go), which is the only place that reads a company id
// from a request.
package api
