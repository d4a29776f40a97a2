// Package config is every environment variable there is: one struct a kind of process, one file each.
//
// Mains call Load with their environment; nothing else reads it. The `desc` tags are the table in the README.
package config
