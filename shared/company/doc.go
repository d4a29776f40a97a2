// Package company knows what a tenant's id looks like and which shard it lives on.
package company
