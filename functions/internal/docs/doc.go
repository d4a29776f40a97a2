// Package docs shows the contract to people: as it is, and as a page that is made of it and of nothing else.
package docs
