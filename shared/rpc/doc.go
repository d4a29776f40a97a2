// Package rpc is what hosts and functions tell each other through Redis: nudges, and pairing codes for show.
//
// Nothing here is a truth. Redis may be flushed at any time: a lost nudge costs the seconds until the
// owner's next poll, a lost QR is there again with the next one.
package rpc
