// Package problem is the catalogue of everything that can go wrong for a caller of the API.
//
// A problem is a value: a code that never changes its meaning, its class, its HTTP status, whether trying again may
// help, and a text. Code that knows what went wrong returns one of the catalogue's values, as it is or with a text,
// details or a cause of its own; each of those makes a copy:
//
//	return problem.Validation.Saying("phone must have 10 to 15 digits").With("field", "phone")
//	return problem.Database.Because(err)
//
// From turns any error into a problem at the edge. One that nobody classified becomes Internal: its own text goes to the
// log (Log) and never to the caller (Write).
package problem
