package dev.graft.cpu.parallel;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/** One loop on its way through a {@link WorkerPool}: who does what, how many are still at it, what went wrong. */
final class Loop {
    private static final long SPIN_NANOS = 50_000;
    private static final int SPINS_PER_CLOCK_READ = 32;

    final int shares;
    private final int n;
    private final int grain;
    private final int grains;
    private final RangeTask task;
    private final Thread caller;
    private final AtomicInteger unfinished;
    private final @Nullable Throwable[] failures;
    private volatile boolean callerParked;

    Loop(int n, int grain, int grains, int shares, RangeTask task, Thread caller) {
        this.n = n;
        this.grain = grain;
        this.grains = grains;
        this.shares = shares;
        this.task = task;
        this.caller = caller;
        unfinished = new AtomicInteger(shares - 1);
        failures = new @Nullable Throwable[shares];
    }

    void runShare(int worker) {
        try {
            task.run(start(worker), start(worker + 1), worker);
        } catch (Throwable failure) {
            failures[worker] = failure;
        }
    }

    /** First index of a share: whole grains, as evenly as they go. */
    private int start(int share) {
        return (int) Math.min(n, (long) grains * share / shares * grain);
    }

    void finishShare() {
        if (unfinished.decrementAndGet() == 0 && callerParked) {
            LockSupport.unpark(caller);
        }
    }

    void awaitOthers(boolean spin) {
        long deadline = System.nanoTime() + SPIN_NANOS;
        while (spin) {
            for (int i = 0; i < SPINS_PER_CLOCK_READ; i++) {
                if (unfinished.get() == 0) {
                    return;
                }
                Thread.onSpinWait();
            }
            if (System.nanoTime() - deadline > 0) {
                break;
            }
        }
        callerParked = true;
        boolean interrupted = false;
        while (unfinished.get() != 0) {
            LockSupport.park(this);
            interrupted |=
                    Thread.interrupted(); // the others still write what the caller owns: wait first, tell afterwards
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    void throwFailures() {
        Throwable first = null;
        for (Throwable failure : failures) {
            if (first == null) {
                first = failure;
            } else if (failure != null && failure != first) {
                first.addSuppressed(failure);
            }
        }
        if (first instanceof RuntimeException exception) {
            throw exception;
        }
        if (first instanceof Error error) {
            throw error;
        }
        if (first != null) {
            throw new IllegalStateException("a task threw a checked exception", first);
        }
    }
}
