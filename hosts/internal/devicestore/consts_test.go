package devicestore

import "time"

const (
	testJID = "79001000001:1@s.whatsapp.net"
	testLID = "1001:1@lid"
)

var (
	peer      = "1002_1:0"
	companion = "1002_1:7"
	stranger  = "1003_1:0"
	peerPN    = "79001000002"
)

var serverTime = time.Unix(1_700_000_000, 0)
