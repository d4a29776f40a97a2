package session

// State is where a session is in its life.
type State string

// The closed set of states.
const (
	Created      State = "created"      // never paired
	Pairing      State = "pairing"      // offers a QR or a pairing code
	Connecting   State = "connecting"   // has keys, dials for the first time
	Connected    State = "connected"    // logged in; sends go out
	Reconnecting State = "reconnecting" // was connected, comes back by itself
	LoggedOut    State = "logged_out"   // the keys are dead; needs pairing
	Banned       State = "banned"       // refused by WhatsApp, for a time or for good
	Failed       State = "failed"       // gave up; see the reason
	Stopped      State = "stopped"      // as asked for
)

// States lists the closed set.
func States() []State {
	return []State{Created, Pairing, Connecting, Connected, Reconnecting, LoggedOut, Banned, Failed, Stopped}
}

// Status is the predecessor's word for a state.
func (s State) Status() string {
	switch s {
	case Connected:
		return "connected"
	case Pairing, Connecting, Reconnecting:
		return "connecting"
	case Created, LoggedOut, Banned, Failed, Stopped:
	}
	return "disconnected"
}

// NeedsUser says that the session will not come back by itself: a send for it is refused, not parked.
func (s State) NeedsUser() bool {
	switch s {
	case Created, LoggedOut, Banned, Stopped, Failed:
		return true
	case Pairing, Connecting, Connected, Reconnecting:
	}
	return false
}

// UserAction is what a person has to do about a session.
type UserAction string

// The closed set of user actions.
const (
	ActionNone   UserAction = "none"
	ActionRelink UserAction = "relink" // pair again
	ActionWait   UserAction = "wait"   // a ban or a block ends by itself
	ActionUpdate UserAction = "update" // wafleet is too old for WhatsApp
)

// Desired is what a caller asked a session to be. The owner reconciles towards it.
type Desired string

// The states that can be asked for.
const (
	DesiredRunning   Desired = "running"
	DesiredStopped   Desired = "stopped"
	DesiredLoggedOut Desired = "logged_out"
)

// PairingMethod is how a device is linked.
type PairingMethod string

// The two ways of linking.
const (
	PairingQR   PairingMethod = "qr"
	PairingCode PairingMethod = "pairing_code"
)
