// Package pace spaces the connects that leave one egress address.
//
// WhatsApp publishes no safe rate, so the rate is found out: it starts at an estimate, grows by one connect a second for
// every half minute in which connects succeeded, and is halved when more than a hundredth of them fail (AIMD). The
// hosts behind one address share the rate, what they learn about it, and its slots through Redis (GCRA: the state is
// one time, at which the next slot is).
//
// Redis may vanish: then each host goes on by itself with its part of the estimate, and starts to learn anew.
// No call waits for Redis longer than 50 ms, and after a failure none waits at all for a second.
package pace
