// Package mailbox holds what a device has not acknowledged yet: messages, receipts and notifications, in the order in
// which they were sent to it.
//
// A device's box is at once its offline queue and the queue of its connection. A stanza enters with [Box.Put], becomes
// visible with [Box.Release] once it is written to the ledger, and leaves with [Box.Ack]. A connection attaches itself,
// asks for the stanzas to be sent with [Box.Next], and is woken whenever there are more; what was not acknowledged when
// it went away is sent to the next one, marked as offline and framed by the notices that clients expect:
//
//	ib/offline_preview, the stanzas in their order, ib/offline
//
// The phones that the simulator plays read their boxes with [Box.Front] instead.
package mailbox
