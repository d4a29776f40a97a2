package fault

// Kind names what goes wrong.
type Kind string

// Faults of a connection.
const (
	// Drop resets the TCP connection.
	Drop Kind = "drop"
	// Deaf leaves the socket open and answers nothing, not even pings; nothing it receives has an effect.
	Deaf Kind = "deaf"
	// Stream503 ends the stream with a 503, as servers do when they go away.
	Stream503 Kind = "stream-503"
	// Restart515 asks the client to connect again.
	Restart515 Kind = "restart-515"
	// Replaced tells the client that another connection took its place.
	Replaced Kind = "replaced"
	// LoggedOut401 removes the companion: the client is told by a 401 and cannot log in again.
	LoggedOut401 Kind = "logged-out-401"
	// Redeliver sends everything unacknowledged, and the last messages that were acknowledged, once more.
	Redeliver Kind = "redeliver"
	// Poison sends a frame that is no stanza and a message that cannot be decrypted.
	Poison Kind = "poison"
	// DropPreKeys empties the companion's one-time prekeys and tells it so, also when it is not connected.
	DropPreKeys Kind = "drop-prekeys"
)

// Faults of a login: the connection is refused with a failure.
const (
	TempBan402  Kind = "temp-ban-402"
	Locked403   Kind = "locked-403"
	Outdated405 Kind = "outdated-405"
	Refuse503   Kind = "refuse-503"
)

// Faults of behaviour.
const (
	// DelayAck relays a message at once and acknowledges it late.
	DelayAck Kind = "delay-ack"
	// LoseAck relays a message and never acknowledges it.
	LoseAck Kind = "lose-ack"
	// Error463 refuses a message with error 463 and does not relay it.
	Error463 Kind = "error-463"
	// NoDedup relays messages also under an id that was seen before.
	NoDedup Kind = "no-dedup"
	// Media401 refuses uploads and downloads.
	Media401 Kind = "media-401"
	// Slow delays everything the server sends.
	Slow Kind = "slow"
)

// family is how a kind of fault finds its victims.
type family int

const (
	ofConnection family = iota + 1
	ofLogin
	ofBehaviour
)

var families = map[Kind]family{
	Drop: ofConnection, Deaf: ofConnection, Stream503: ofConnection, Restart515: ofConnection, Replaced: ofConnection,
	LoggedOut401: ofConnection, Redeliver: ofConnection, Poison: ofConnection, DropPreKeys: ofConnection,
	TempBan402: ofLogin, Locked403: ofLogin, Outdated405: ofLogin, Refuse503: ofLogin,
	DelayAck: ofBehaviour, LoseAck: ofBehaviour, Error463: ofBehaviour, NoDedup: ofBehaviour, Media401: ofBehaviour,
	Slow: ofBehaviour,
}

// OfConnection lists the kinds that hit a connection, in the order in which they are tried.
func OfConnection() []Kind {
	return []Kind{DropPreKeys, Redeliver, Poison, Deaf, Restart515, Stream503, Replaced, LoggedOut401, Drop}
}

// OfLogin lists the kinds that refuse a login.
func OfLogin() []Kind { return []Kind{TempBan402, Locked403, Outdated405, Refuse503} }

// NeedsConnection reports whether a fault of this kind can only hit those who are connected.
func (k Kind) NeedsConnection() bool { return families[k] == ofConnection && k != DropPreKeys }
