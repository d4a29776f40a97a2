package auth

import "slices"

// Scope is one thing that a key allows.
type Scope string

// The scopes.
const (
	Send    Scope = "send"
	Read    Scope = "read"
	Session Scope = "session"
	Webhook Scope = "webhook"
	Admin   Scope = "admin" // includes the others
)

// Principal is who calls.
type Principal struct {
	KeyID     string
	CompanyID string // empty: an admin key, which acts for any company
	Scopes    []Scope
}

// IsAdmin says that the caller acts for any company.
func (p Principal) IsAdmin() bool { return p.CompanyID == "" }

// Can says whether the key has the scope.
func (p Principal) Can(scope Scope) bool {
	return slices.Contains(p.Scopes, scope) || slices.Contains(p.Scopes, Admin)
}
