// Package session defines the states a company's WhatsApp session can be in and what each means to others.
//
// The set is closed. Every state carries a reason code and says what, if anything, the user has to
// do; the predecessor's status word is derived from the state and stored nowhere else.
//
//	created ──▶ pairing ──▶ connecting ──▶ connected ◀──▶ reconnecting
//	                 ▲            │             │               │
//	                 └─ logged_out ◀────────────┴───────────────┤
//	                    banned · failed · stopped ◀─────────────┘
package session
