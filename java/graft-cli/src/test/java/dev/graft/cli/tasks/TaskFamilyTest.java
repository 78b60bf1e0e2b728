package dev.graft.cli.tasks;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.cli.world.Exercise;
import dev.graft.common.InputException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class TaskFamilyTest {
    private final TaskFamily family = TaskFamily.all();

    @Test
    void tasksOfTheTwoSplitsAreDifferent() {
        List<FewShotTask> train = family.trainTasks(80);
        List<FewShotTask> test = family.testTasks(48);
        assertThat(train).hasSize(80).doesNotHaveDuplicates().allMatch(task -> task.split() == Split.TRAIN);
        assertThat(test).hasSize(48).doesNotHaveDuplicates().allMatch(task -> task.split() == Split.TEST);
        assertThat(rules(train)).doesNotContainAnyElementsOf(rules(test));
        assertThat(Collections.max(countByKind(train).values())).isEqualTo(10);
        assertThat(Collections.min(countByKind(test).values())).isEqualTo(6);
        assertThat(family.trainTasks(9)).isEqualTo(train.subList(0, 9));
    }

    private static Set<String> rules(List<FewShotTask> tasks) {
        return tasks.stream().map(FewShotTask::rule).collect(Collectors.toSet());
    }

    private static Map<TaskKind, Integer> countByKind(List<FewShotTask> tasks) {
        return tasks.stream().collect(Collectors.toMap(FewShotTask::kind, task -> 1, Integer::sum));
    }

    @Test
    void drawnTasksComeFromTheirSplitAndEveryKind() {
        for (Split split : Split.values()) {
            List<FewShotTask> drawn = LongStream.range(0, 100)
                    .mapToObj(seed -> family.draw(split, seed))
                    .toList();
            assertThat(drawn).allMatch(task -> task.split() == split);
            assertThat(countByKind(drawn)).containsOnlyKeys(TaskKind.values());
            assertThat(family.draw(split, 5)).isEqualTo(drawn.get(5));
        }
    }

    @Test
    void aTaskIsFoundAgainByKindAndSeed() {
        FewShotTask task = family.draw(Split.TEST, 3);
        FewShotTask again = FewShotTask.of(task.kind(), task.seed());
        assertThat(again).isEqualTo(task).hasSameHashCodeAs(task).hasToString(task.name());
        assertThat(task.name()).startsWith(task.kind().label() + "/").endsWith("/" + task.seed());
        assertThat(again.support(4, 9)).isEqualTo(task.support(4, 9));
    }

    @Test
    void thereAreOnlySoManyTasksOfASmallKind() {
        TaskFamily small = new TaskFamily(List.of(TaskKind.CAPTION));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> small.testTasks(1_000))
                .withMessageContaining("1000 tasks of");
        assertThatIllegalArgumentException().isThrownBy(() -> new TaskFamily(List.of()));
    }

    @ParameterizedTest
    @EnumSource
    void everyKindHasManyMembersInBothSplits(TaskKind kind) {
        List<FewShotTask> tasks = LongStream.range(0, 200)
                .mapToObj(seed -> FewShotTask.of(kind, seed))
                .toList();
        assertThat(new HashSet<>(tasks)).hasSizeGreaterThanOrEqualTo(35);
        assertThat(tasks.stream().filter(task -> task.split() == Split.TEST).count())
                .isBetween(15L, 90L);
        assertThat(tasks)
                .extracting(FewShotTask::name)
                .allSatisfy(name -> assertThat(name).matches("[a-z]+/[a-z0-9-]+/[0-9]+"));
        assertThat(TaskKind.of(kind.label())).isEqualTo(kind);
    }

    /** As many as commands ask for that were not told otherwise. */
    @ParameterizedTest
    @EnumSource
    void everyTaskHas64ExercisesOfEitherUse(TaskKind kind) {
        LongStream.range(0, 60).mapToObj(seed -> FewShotTask.of(kind, seed)).forEach(task -> {
            assertThat(task.support(64, 0)).as(task.name()).hasSize(64);
            assertThat(task.heldOut(64)).as(task.name()).hasSize(64);
        });
    }

    /** A colour and a day make 91 answers, in eight ways of asking. */
    @Test
    void theSmallestTasksHaveNoMoreThanTheyHave() {
        Set<FewShotTask> small = LongStream.range(0, 2_000)
                .mapToObj(seed -> FewShotTask.of(TaskKind.SORT, seed))
                .filter(task -> task.rule().endsWith("in the order day, colour")
                        || task.rule().endsWith("in the order colour, day"))
                .collect(Collectors.toSet());
        assertThat(small).hasSize(8);
        for (FewShotTask task : small) {
            assertThat(task.support(64, 0)).hasSize(64);
            assertThat(task.heldOut(64)).hasSize(64);
            assertThatThrownBy(() -> task.support(182, 0))
                    .isInstanceOf(InputException.class)
                    .hasMessageStartingWith(task.name())
                    .hasMessageMatching(".* has [0-9]+ different examples of this kind, not 182; ask for fewer");
            assertThatThrownBy(() -> task.heldOut(182)).isInstanceOf(InputException.class);
        }
    }

    /** No seed of support ever gives what a held-out exercise is about. */
    @ParameterizedTest
    @EnumSource
    void supportAndHeldOutShareNothing(TaskKind kind) {
        boolean fewAnswers =
                Set.of(TaskKind.RELABEL, TaskKind.PICK, TaskKind.COUNT).contains(kind);
        Function<Exercise, String> identity = fewAnswers ? Exercise::prompt : Exercise::completion;
        for (FewShotTask task : new TaskFamily(List.of(kind)).testTasks(4)) {
            List<Exercise> heldOut = task.heldOut(100);
            assertThat(heldOut).hasSize(100).doesNotHaveDuplicates();
            assertThat(task.heldOut(10)).isEqualTo(heldOut.subList(0, 10));
            Set<String> support = new HashSet<>();
            List<List<Exercise>> sets = new ArrayList<>();
            for (long seed = -2; seed < 8; seed++) {
                sets.add(task.support(32, seed));
                assertThat(sets.getLast()).hasSize(32).doesNotHaveDuplicates();
                assertThat(task.support(4, seed)).isEqualTo(sets.getLast().subList(0, 4));
                sets.getLast().forEach(exercise -> support.add(identity.apply(exercise)));
            }
            assertThat(sets).doesNotHaveDuplicates();
            assertThat(heldOut).extracting(identity).doesNotContainAnyElementsOf(support);
        }
    }
}
