package peer

// SaysAbsent tells tests whether an error is a sign that a host's process has ended.
func SaysAbsent(err error) bool { return signOf(err) == absent }
