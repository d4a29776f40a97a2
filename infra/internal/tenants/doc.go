// Package tenants makes the companies that load tests are run with: each with its own number, a paired session, and one
// customer whose phone it writes to.
package tenants
