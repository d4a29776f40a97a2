// Package health carries what hosts say of themselves to whoever watches the fleet.
//
// Each host reports every few seconds: to Redis, where GET /health finds the living ones, and where a table is configured to
// DynamoDB, for operators and autoscaling. A report counts what a host does; it never holds anything of a company. Nothing
// depends on the reports: ownership is decided by the leases in Postgres alone, and a board that cannot be reached costs
// nothing but the view.
package health
