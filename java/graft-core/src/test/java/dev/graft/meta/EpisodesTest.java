package dev.graft.meta;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.common.InputException;
import dev.graft.data.Example;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class EpisodesTest {
    private static MetaTask task(String name, int rows) {
        return new MetaTask(
                name,
                IntStream.range(0, rows)
                        .mapToObj(i -> new Example(new int[] {i, i}, new int[] {i, i}))
                        .toList());
    }

    @Test
    void supportAndQueryAreApartAndAnotherSplitEachTime() {
        Episodes episodes = new Episodes(3, 4, 1);
        MetaTask task = task("t", 9);
        Episodes.Episode first = episodes.episode(task, 0, 0);
        assertThat(first.support()).hasSize(3);
        assertThat(first.query()).hasSize(4).doesNotContainAnyElementsOf(first.support());
        assertThat(episodes.episode(task, 0, 0)).isEqualTo(first);
        assertThat(episodes.episode(task, 0, 1)).isNotEqualTo(first);
        assertThat(episodes.episode(task, 1, 0)).isNotEqualTo(first);
        assertThat(new Episodes(3, 4, 2).episode(task, 0, 0)).isNotEqualTo(first);
    }

    @Test
    void fewRowsLeaveFewForTheQueryButNeverNone() {
        Episodes episodes = new Episodes(3, 4, 1);
        assertThat(episodes.episode(task("t", 4), 0, 0).query()).hasSize(1);
        assertThatThrownBy(() -> episodes.requireEnough(List.of(task("fine", 4), task("scarce", 3))))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("scarce")
                .hasMessageContaining("--shots 3");
    }

    @Test
    void everyTaskComesOnceBeforeAnyComesAgain() {
        Episodes episodes = new Episodes(1, 1, 5);
        List<Integer> order = Stream.iterate(0, i -> i + 1)
                .limit(14)
                .map(number -> episodes.taskAt(number, 7))
                .toList();
        assertThat(order.subList(0, 7)).containsExactlyInAnyOrder(0, 1, 2, 3, 4, 5, 6);
        assertThat(order.subList(7, 14))
                .containsExactlyInAnyOrder(0, 1, 2, 3, 4, 5, 6)
                .isNotEqualTo(order.subList(0, 7));
    }

    @Test
    void whatCannotBe() {
        assertThatThrownBy(() -> new Episodes(0, 1, 0))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("--shots");
        assertThatThrownBy(() -> new Episodes(1, 0, 0))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("--query");
    }
}
