// Processes and signals of Argo's executor on Linux. The Go module of Argo Workflows 4.0.5 has this part
// for Windows and macOS alone; build.sh lays this file beside them.
package osspecific

import (
	"errors"
	"os"
	"syscall"

	argo "github.com/argoproj/argo-workflows/v4/util/errors"
)

// Term asks a process to end.
var Term = syscall.SIGTERM

// CanIgnoreSignal tells whether a signal concerns the executor alone and not the step.
func CanIgnoreSignal(given os.Signal) bool {
	return given == syscall.SIGCHLD || given == syscall.SIGURG
}

// Kill signals the group of a process, or the process alone where it has none.
func Kill(pid int, given syscall.Signal) error {
	if group, err := syscall.Getpgid(pid); err == nil {
		return syscall.Kill(-group, given)
	}
	return syscall.Kill(pid, given)
}

// Setpgid starts a process as the first of a group.
func Setpgid(attributes *syscall.SysProcAttr) {
	attributes.Setpgid = true
}

// Wait reaps the children of a container's first process until the step itself has ended.
func Wait(process *os.Process) error {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return err
		case pid != process.Pid:
			continue
		case status.Signaled():
			return argo.NewExitErr(128 + int(status.Signal()))
		case status.Exited():
			return argo.NewExitErr(status.ExitStatus())
		}
	}
}
