// Package roster is the directory of the simulated network: the accounts with their phones, the companions linked to
// them, and the keys that each device has published.
//
// Look-ups take no lock that others wait for: accounts live in concurrent maps, and the list of an account's devices is
// replaced as a whole when a device comes or goes.
package roster
