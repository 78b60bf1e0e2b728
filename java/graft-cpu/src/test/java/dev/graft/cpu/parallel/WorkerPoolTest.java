package dev.graft.cpu.parallel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class WorkerPoolTest {
    private record Share(int from, int to, int worker) {}

    private static List<Share> shares(WorkerPool pool, int n, int grain) {
        List<Share> shares = Collections.synchronizedList(new ArrayList<>());
        pool.forEachRange(n, grain, (from, to, worker) -> shares.add(new Share(from, to, worker)));
        shares.sort((x, y) -> Integer.compare(x.worker, y.worker));
        return shares;
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 5})
    void visitsEveryIndexOnce(int size) {
        try (WorkerPool pool = new WorkerPool(size)) {
            for (int n : new int[] {0, 1, 2, 7, 64, 207}) {
                for (int grain : new int[] {1, 4, 64}) {
                    AtomicIntegerArray visits = new AtomicIntegerArray(n);
                    pool.forEachRange(n, grain, (from, to, worker) -> {
                        for (int i = from; i < to; i++) {
                            visits.incrementAndGet(i);
                        }
                    });
                    for (int i = 0; i < n; i++) {
                        assertThat(visits.get(i)).isEqualTo(1);
                    }
                }
            }
        }
    }

    @Test
    void splitsTheSameWayEveryTimeAtMultiplesOfTheGrain() {
        try (WorkerPool pool = new WorkerPool(3)) {
            List<Share> expected = List.of(new Share(0, 20, 0), new Share(20, 50, 1), new Share(50, 77, 2));
            for (int i = 0; i < 100; i++) {
                assertThat(shares(pool, 77, 10)).isEqualTo(expected);
            }
        }
    }

    @Test
    void runsOneGrainOnTheCaller() {
        try (WorkerPool pool = new WorkerPool(3)) {
            Set<Thread> threads = new HashSet<>();
            pool.forEachRange(16, 16, (from, to, worker) -> threads.add(Thread.currentThread()));
            assertThat(threads).containsExactly(Thread.currentThread());
        }
    }

    @Test
    void wakesParkedWorkers() {
        try (WorkerPool pool = new WorkerPool(2)) {
            for (int i = 0; i < 5; i++) {
                LockSupport.parkNanos(2_000_000); // far longer than a worker looks for work
                assertThat(shares(pool, 2, 1)).hasSize(2);
            }
        }
    }

    @Test
    void waitsForSlowWorkersEvenWhenInterrupted() {
        try (WorkerPool pool = new WorkerPool(2)) {
            AtomicInteger finished = new AtomicInteger();
            Thread.currentThread().interrupt();
            pool.forEachRange(2, 1, (from, to, worker) -> {
                if (worker == 1) {
                    LockSupport.parkNanos(5_000_000);
                }
                finished.incrementAndGet();
            });
            assertThat(finished).hasValue(2);
            assertThat(Thread.interrupted()).isTrue();
        }
    }

    @Test
    void passesOnWhatSharesThrowAndStaysUsable() {
        try (WorkerPool pool = new WorkerPool(3)) {
            assertThatThrownBy(() -> pool.forEachRange(3, 1, (from, to, worker) -> {
                        if (worker > 0) {
                            throw new IllegalArgumentException("share " + worker);
                        }
                    }))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessage("share 1")
                    .satisfies(thrown -> assertThat(thrown.getSuppressed()).hasSize(1));
            assertThat(shares(pool, 3, 1)).hasSize(3);
        }
    }

    @Test
    void refusesLoopsInsideItsTasks() {
        try (WorkerPool pool = new WorkerPool(2)) {
            for (int where = 0; where < 2; where++) {
                int inside = where;
                assertThatThrownBy(() -> pool.forEachRange(2, 1, (from, to, worker) -> {
                            if (worker == inside) {
                                pool.forEachRange(2, 1, (f, t, w) -> {});
                            }
                        }))
                        .isInstanceOf(IllegalStateException.class)
                        .hasMessageContaining("same pool");
            }
        }
    }

    @Test
    void servesSeveralThreadsOneAfterTheOther() throws InterruptedException {
        try (WorkerPool pool = new WorkerPool(2)) {
            AtomicInteger inside = new AtomicInteger();
            AtomicInteger sum = new AtomicInteger();
            List<Thread> threads = new ArrayList<>();
            for (int t = 0; t < 3; t++) {
                threads.add(Thread.ofPlatform().start(() -> {
                    for (int i = 0; i < 200; i++) {
                        pool.forEachRange(2, 1, (from, to, worker) -> {
                            sum.addAndGet(inside.incrementAndGet() > 2 ? 1_000_000 : 1);
                            inside.decrementAndGet();
                        });
                    }
                }));
            }
            for (Thread thread : threads) {
                thread.join();
            }
            assertThat(sum).hasValue(3 * 200 * 2);
        }
    }

    @Test
    void closesTwiceAndRefusesWorkAfterwards() {
        WorkerPool pool = new WorkerPool(2);
        pool.close();
        pool.close();
        assertThatThrownBy(() -> pool.forEachRange(1, 1, (from, to, worker) -> {}))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("closed");
    }

    @Test
    void refusesNonsense() {
        assertThatThrownBy(() -> new WorkerPool(0)).isInstanceOf(IllegalArgumentException.class);
        try (WorkerPool pool = new WorkerPool(1)) {
            assertThatThrownBy(() -> pool.forEachRange(-1, 1, (from, to, worker) -> {}))
                    .isInstanceOf(IllegalArgumentException.class);
            assertThatThrownBy(() -> pool.forEachRange(1, 0, (from, to, worker) -> {}))
                    .isInstanceOf(IllegalArgumentException.class);
        }
    }
}
