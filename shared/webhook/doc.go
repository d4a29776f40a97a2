// Package webhook tells a company's own servers what happened: the event types, the signed request, and the safe way to
// send it.
//
// The wire format is Standard Webhooks: POST with a JSON body {id, type, timestamp, companyId, sequence, data} and the
// headers webhook-id, webhook-timestamp and webhook-signature, which is HMAC-SHA256 over "id.timestamp.body" with the
// endpoint's secret. A body is encoded once and those bytes are signed and sent. Receivers check it with Verify.
//
// The URL comes from a customer, so it is hostile until proven otherwise. Targets decides what may be dialled, on the
// address that the name really resolved to and at the moment of the dial; Client sends one attempt that follows no
// redirect, uses no proxy, and ends in time whatever the other side does. Outcome says what the attempt means, Schedule
// when the next one is due.
//
// Delivery is at least once, in no promised order: the id of an event never changes, so a receiver folds repeats by it,
// and sequence tells the order in which things happened.
package webhook
