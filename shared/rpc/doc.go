// Package rpc is what hosts and functions tell each other through Redis: nudges, pairing codes for show, and live questions.
//
// Nothing here is a truth. Redis may be flushed at any time: a lost nudge costs the seconds until the
// owner's next poll, a lost QR is there again with the next one, a lost question is asked again by whoever asked.
//
// # Questions
//
// A Caller asks the owner of a company, on the channel of its shard and term, and waits; a Responder answers for the
// shards that its host holds:
//
//	Caller                      Redis                                Responder
//	SET question, PX deadline ─▶ wafleet:rpc:{id}
//	PUBLISH id ────────────────▶ wafleet:rpc:<shard>:<term> ───────▶ GET question; nil: expired, dropped
//	BLPOP answer                                                     lease? act; lease?
//	  of another term: ignored ◀ wafleet:rpc:{id}:answer ◀────────── RPUSH answer
//
// The deadline is Redis' own expiry, so that no clock but that of Redis counts.
package rpc
