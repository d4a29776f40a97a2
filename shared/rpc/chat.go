package rpc

// The kinds of the questions that only ask for something to be shown to a chat; the answer is empty.
const (
	MarkRead   = "chat.read"   // asked with a ReadMark
	ShowTyping = "chat.typing" // asked with Typing
)

// ReadMark is a message that a company has read.
type ReadMark struct {
	Chat        string `json:"chat"`   // address, see message.ParseRecipient
	Sender      string `json:"sender"` // address
	WAMessageID string `json:"waMessageId"`
}

// Typing is what somebody is doing in a chat.
type Typing struct {
	Chat  string      `json:"chat"` // address
	State TypingState `json:"state"`
}

// TypingState is what can be shown of somebody who has not sent anything yet.
type TypingState string

// The states. WhatsApp's apps stop showing the first two by themselves after some 20 s.
const (
	Composing TypingState = "composing"
	Recording TypingState = "recording"
	Paused    TypingState = "paused"
)
