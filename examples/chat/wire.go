package chat

// What a page sends. Every one of these is checked: the page is only one of
// many programs that can speak to the server.
type (
	joinRequest struct {
		Room string `json:"room"`
	}

	postRequest struct {
		Room    string `json:"room"`
		Nonce   string `json:"nonce"` // names the message until the server has named it
		Text    string `json:"text"`
		Picture []byte `json:"picture"` // travels as a binary attachment
	}

	pictureRequest struct {
		Room string `json:"room"`
		ID   string `json:"id"`
	}

	typingRequest struct {
		On bool `json:"on"`
	}

	receivedRequest struct {
		Room string   `json:"room"`
		IDs  []string `json:"ids"`
	}
)

// What a page receives.
type (
	// A Message is one entry of a room.
	Message struct {
		ID           string   `json:"id"`
		Nonce        string   `json:"nonce,omitempty"`
		Room         string   `json:"room"`
		From         User     `json:"from"`
		Text         string   `json:"text"`
		At           int64    `json:"at"` // milliseconds since 1970
		Announcement bool     `json:"announcement,omitempty"`
		Picture      *Picture `json:"picture,omitempty"`
		DeliveredTo  []string `json:"deliveredTo,omitempty"` // names
	}

	// A Picture describes an image. Data comes with a new message; for one out
	// of the history, the page asks when it is about to show it.
	Picture struct {
		Type   string `json:"type"`
		Width  int    `json:"width"`
		Height int    `json:"height"`
		Data   []byte `json:"data,omitempty"`
	}

	// Presence is who is online and where. It is always complete, so a page
	// that missed one needs only the next; Version tells which one is newer.
	Presence struct {
		Version uint64 `json:"version"`
		Users   []User `json:"users"`
		Rooms   []Room `json:"rooms"`
	}

	// A Room is a room as lists show it.
	Room struct {
		Name    string   `json:"name"`
		Topic   string   `json:"topic,omitempty"`
		Members []string `json:"members"` // ids of users, each once
	}

	joined struct {
		Room     string    `json:"room"`
		Server   string    `json:"server,omitempty"` // its name in the cluster
		Epoch    string    `json:"epoch"`            // changes when the server starts anew, or all servers do
		Messages []Message `json:"messages"`
	}

	posted struct {
		ID string `json:"id"`
		At int64  `json:"at"`
	}

	typing struct {
		Room string `json:"room"`
		User User   `json:"user"`
		On   bool   `json:"on"`
	}

	delivered struct {
		Room  string   `json:"room"`
		ID    string   `json:"id"`
		Nonce string   `json:"nonce"`
		To    []string `json:"to"`
	}

	activity struct {
		Room string `json:"room"`
	}
)

// What the servers of a cluster tell each other.
type (
	// A receipt says that a user has a message.
	receipt struct {
		Room string `json:"room"`
		ID   string `json:"id"`
		User User   `json:"user"`
	}

	// An archive is all that a server has kept, without the bytes of pictures.
	archive struct {
		Epoch string        `json:"epoch"`
		Rooms []archiveRoom `json:"rooms"`
	}

	archiveRoom struct {
		Name    string          `json:"name"`
		Entries []archivedEntry `json:"entries"`
	}

	archivedEntry struct {
		Message   Message           `json:"message"`
		Delivered map[string]string `json:"delivered,omitempty"` // names by user id
	}

	// pictureBytes are in base64: the official adapter for Redis cannot carry bytes here.
	pictureBytes struct {
		Data string `json:"data"`
	}
)
