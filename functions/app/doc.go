// Package app puts the functions together in one process: the API as one http.Handler, and the workers that on AWS are
// functions of their own.
package app
