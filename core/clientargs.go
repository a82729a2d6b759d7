package sio

import "github.com/sioplug/sioplug/internal/packet"

// ArgsOf returns Args that package sioclient has received from a server. codec decodes
// them, and nil stands for the default one. It is not for applications: its first
// parameter has an internal type.
func ArgsOf(values packet.Args, codec Codec) Args { return Args{args: values, codec: codec} }
