package dev.graft.cpu.parallel;

import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * A fixed set of threads that split one loop at a time among them. The calling thread is worker 0 and takes a share itself, so a
 * pool of n workers starts n - 1 daemon threads. Who gets which indices depends on the loop and the pool's size only, never on
 * timing: what is computed per share is the same in every run.
 *
 * <p>Loops of an engine follow each other within microseconds. A thread without work therefore looks for the next loop for a
 * short while before it parks: measured on two cores of a Xeon, an empty loop over two workers takes 0.3 to 2 µs while the other
 * looks, and some 50 µs when it has parked or other programs hold its core. A parked thread costs nothing.
 *
 * <p>Several threads may use one pool; their loops run one after the other. A task must not start a loop on its own pool.
 */
public final class WorkerPool implements AutoCloseable {
    /** How long a thread looks for work before it parks; longer than the gaps between an engine's loops. */
    private static final long SPIN_NANOS = 50_000;

    private static final int SPINS_PER_CLOCK_READ = 32;

    private final Worker[] workers; // the threads of workers 1 to n - 1
    private final boolean spin;
    private final ReentrantLock loopLock = new ReentrantLock();

    private volatile boolean closed;

    /** A pool of as many workers as the machine has processors. */
    public WorkerPool() {
        this(Runtime.getRuntime().availableProcessors());
    }

    /** @param size number of workers, the calling thread among them */
    public WorkerPool(int size) {
        if (size < 1) {
            throw new IllegalArgumentException("a worker pool needs at least one worker, not " + size);
        }
        // with more threads than processors, one that looks for work keeps another from doing it
        spin = size <= Runtime.getRuntime().availableProcessors();
        workers = new Worker[size - 1];
        for (int i = 0; i < workers.length; i++) {
            workers[i] = new Worker(i + 1);
            workers[i].start();
        }
    }

    /** Number of workers, the calling thread among them. */
    public int size() {
        return workers.length + 1;
    }

    /**
     * Runs {@code task} over 0 to {@code n} (exclusive), split into at most {@link #size()} shares of about equal length, and
     * returns when all are done. Shares start at multiples of {@code grain}, so a loop of up to {@code grain} indices runs wholly
     * on the calling thread.
     *
     * @throws IllegalStateException if the pool is closed, or if called from inside one of its tasks
     * @throws RuntimeException whatever a share threw, that of the lowest worker first, the others suppressed in it
     */
    public void forEachRange(int n, int grain, RangeTask task) {
        if (n < 0 || grain < 1) {
            throw new IllegalArgumentException("cannot split " + n + " indices with grain " + grain);
        }
        if (loopLock.isHeldByCurrentThread()
                || (Thread.currentThread() instanceof Worker worker && worker.pool() == this)) {
            throw new IllegalStateException("a task of a worker pool started a loop on the same pool");
        }
        loopLock.lock();
        try {
            if (closed) {
                throw new IllegalStateException("the worker pool is closed");
            }
            int grains = (int) (((long) n + grain - 1) / grain);
            int shares = Math.min(grains, size());
            if (shares == 1) {
                task.run(0, n, 0);
            } else if (shares > 1) {
                runShared(new Loop(n, grain, grains, shares, task, Thread.currentThread()));
            }
        } finally {
            loopLock.unlock();
        }
    }

    private void runShared(Loop current) {
        for (int w = 1; w < current.shares; w++) {
            workers[w - 1].hand(current);
        }
        current.runShare(0);
        current.awaitOthers(spin);
        current.throwFailures();
    }

    /** Ends the threads; does nothing the second time. Waits for a loop that is running. */
    @Override
    public void close() {
        loopLock.lock();
        try {
            closed = true;
            for (Worker worker : workers) {
                LockSupport.unpark(worker);
            }
        } finally {
            loopLock.unlock();
        }
    }

    private final class Worker extends Thread {
        private final int index;
        private volatile @Nullable Loop next;
        private volatile boolean parked;

        Worker(int index) {
            super("graft-worker-" + index);
            this.index = index;
            setDaemon(true);
        }

        WorkerPool pool() {
            return WorkerPool.this;
        }

        void hand(Loop current) {
            next = current;
            if (parked) {
                LockSupport.unpark(this);
            }
        }

        @Override
        public void run() {
            while (true) {
                Loop current = awaitLoop();
                if (current == null) {
                    return;
                }
                next = null;
                current.runShare(index);
                current.finishShare();
            }
        }

        /** The next loop, or null when the pool is closed. */
        private @Nullable Loop awaitLoop() {
            long deadline = System.nanoTime() + SPIN_NANOS;
            while (spin) {
                for (int i = 0; i < SPINS_PER_CLOCK_READ; i++) {
                    Loop current = next;
                    if (current != null) {
                        return current;
                    }
                    Thread.onSpinWait();
                }
                if (System.nanoTime() - deadline > 0) {
                    break;
                }
            }
            // "parked" is written before "next" is read, and hand() does the reverse: one of the two sees the other
            parked = true;
            Loop current;
            while ((current = next) == null && !closed) {
                LockSupport.park(WorkerPool.this);
                Thread.interrupted(); // nobody interrupts these threads for a purpose; a set flag would keep them
                // from parking
            }
            parked = false;
            return current;
        }
    }
}
