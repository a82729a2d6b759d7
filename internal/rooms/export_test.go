package rooms

// SetLimits has an index take sets for large that are not.
func SetLimits[M any](x *Index[M], names, members int) { x.limits = limits{names, members} }
