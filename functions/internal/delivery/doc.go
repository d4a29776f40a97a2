// Package delivery carries events to the endpoints of companies: one job of the webhooks queue is one attempt at most.
//
//	job ──▶ claim ──▶ POST ──▶ settle ──▶ delivered
//	          │                  ├──▶ pending, due again after the schedule's next step
//	          │                  └──▶ dead: the schedule is over, or the endpoint wants no more
//	          ├──▶ parked: the endpoint is busy; whoever finishes there calls it
//	          ├──▶ skipped: the endpoint fails, its next probe stands in for this step
//	          └──▶ dead: the endpoint is disabled or gone
//
// # Truth
//
// The row in webhook_deliveries is the truth; a job only says "look at this row". Jobs may be lost (the sweeper makes new
// ones), doubled or late: a claim is a guarded update, so that a job for a delivery that is done, claimed or not due
// finds nothing to do. A claim ends by itself, so a crash at any point costs time and never a delivery. A crash
// between the POST and the settling repeats the POST with the same event id: at least once.
//
// Once a delivery is delivered nothing sends it again: the claim asks for state "pending" and counts the attempt, a late
// failure of an earlier attempt is not written over a later one, and a 2xx is believed whoever heard it.
//
// # An endpoint that hurts
//
// At most Config.InFlight attempts of one endpoint run at a time, over all processes: claims of an endpoint queue up on
// its row. Beyond that a delivery is parked at no cost, and each finished attempt calls one of the parked.
// After failingAfter failures in a row the endpoint is only probed: by one delivery per step of the schedule, and where
// steps are long by the first that falls due after maxProbe. For every other delivery that falls due meanwhile the probe
// stands in: its step is skipped, unless it is the last one, so that nothing dies untried. The first success calls what
// was parked or skipped, oldest first. An endpoint that answers 410, or that has failed for patience without a success, is
// disabled; its company finds that in the event log and at its other endpoints.
package delivery
