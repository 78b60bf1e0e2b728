package dev.graft.cuda.driver;

/**
 * A second stream, for work that may run beside what is on the main one: between {@link #fork} and {@link #join}. After a join the
 * main stream is in order again, so that nobody else need know.
 */
final class SideStream implements AutoCloseable {
    private final Jcuda.Stream main;
    private final Jcuda.Stream side;
    private final Jcuda.Event forked;
    private final Jcuda.Event done;

    SideStream(Jcuda.Stream main) {
        this.main = main;
        side = Jcuda.createStream();
        forked = Jcuda.createEvent();
        done = Jcuda.createEvent();
    }

    /** Side work from here on follows all main work so far. */
    void fork() {
        Jcuda.record(forked, main);
        Jcuda.await(forked, side);
    }

    /** Main work from here on follows all side work so far. */
    void join() {
        Jcuda.record(done, side);
        Jcuda.await(done, main);
    }

    long address() {
        return side.address();
    }

    @Override
    public void close() {
        Jcuda.destroy(done);
        Jcuda.destroy(forked);
        Jcuda.destroy(side);
    }
}
