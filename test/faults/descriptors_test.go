package faults_test

// serverEnv names a server in a process of its own: this program, started again.
const serverEnv = "SIOPLUG_FAULTS_SERVER"

func runServer(string) {}
