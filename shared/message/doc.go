// Package message defines what a message is: its id, its content, and the ladder of states it climbs.
//
//	accepted ─▶ queued ─▶ sending ─▶ sent ─▶ delivered ─▶ read ─▶ played
//	    │         │  ▲       │ ▲
//	    │         │  └───────┤ │         no frame was written
//	    │         │          ▼ │
//	    │         │      unconfirmed     may or may not be out: resent under the same id
//	    ▼         ▼          │
//	  failed · expired · canceled
//
// A message never goes back, with two exceptions: sending → queued when no frame was written, and
// failed(not_enqueued), which a late delivery from the queue or a retried call lifts again. A receipt
// from the other side is the strongest evidence there is and lifts every state but canceled.
package message
