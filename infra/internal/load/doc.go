// Package load sends messages and finds out what became of them.
//
// # Two loads
//
// Open offers messages at a constant rate, whatever the system makes of them, as customers do who know nothing of each
// other. A latency counts from the moment the call was due, so that a system which stalls cannot hide the calls that it
// kept from being made (coordinated omission).
//
// Closed keeps a fixed number of messages between API and phone: each worker sends its next message when the one before
// has arrived. That is as fast as the system goes without a queue that grows.
//
// # What counts as arrived
//
// The message as the recipient's phone decrypted it. The phone's clock is that of the simulator, on the same machine, in
// milliseconds; it is rounded up, so that latencies are rather too long than too short. Closed learns of an arrival from
// the phone's delivery receipt in the simulator's journal, and takes the figures from the phones as well.
package load
