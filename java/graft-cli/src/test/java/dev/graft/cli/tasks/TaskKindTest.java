package dev.graft.cli.tasks;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import dev.graft.cli.world.EmbeddedBase;
import dev.graft.cli.world.Exercise;
import dev.graft.cli.world.Lexicon;
import dev.graft.common.InputException;
import dev.graft.data.Tokenizer;
import dev.graft.io.Json;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.Function;
import java.util.random.RandomGenerator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TaskKindTest {
    private static final int TASKS = 40;

    /** What a definition makes of a sample. */
    private record Made<T extends TaskDefinition>(T task, Exercise exercise) {
        /** The list in the prompt. */
        List<String> list() {
            return split(exercise.prompt()
                    .substring("List: ".length(), exercise.prompt().indexOf('\n')));
        }

        List<String> answer() {
            return split(exercise.completion().strip());
        }

        private static List<String> split(String list) {
            return List.of(list.split("(?: \\||[,;])? "));
        }
    }

    /** Exercises of many definitions. */
    private static <T extends TaskDefinition> Stream<Made<T>> made(Function<RandomGenerator, T> definitions) {
        SplittableRandom random = new SplittableRandom(5);
        return Stream.generate(() -> definitions.apply(random))
                .limit(TASKS)
                .flatMap(task -> IntStream.range(0, 10)
                        .mapToObj(i -> new Made<>(task, task.sample(i, random).exercise())));
    }

    @Test
    void everyExerciseIsOneLineThatTheEmbeddedTokenizerKeepsShort(@TempDir Path folder) {
        EmbeddedBase.unpack(folder);
        try (Tokenizer tokenizer = Tokenizer.load(folder)) {
            for (TaskKind kind : TaskKind.values()) {
                assertThat(some(kind)).allSatisfy(exercise -> {
                    assertThat(exercise.completion()).matches(" \\S.*\\S| \\S");
                    assertThat(exercise.prompt()).matches("(?:Read|List): .+\n[A-Z][A-Za-z]+:");
                    assertThat(tokenizer.encode(exercise.prompt(), true).length).isLessThanOrEqualTo(160);
                    int[] answer = tokenizer.encode(exercise.completion(), false);
                    assertThat(answer.length).isLessThanOrEqualTo(48);
                    assertThat(tokenizer.decode(answer, true)).isEqualTo(exercise.completion());
                    assertThat(exercise.toRow(tokenizer).targets()).isEqualTo(answer.length + 1);
                });
            }
        }
    }

    private static List<Exercise> some(TaskKind kind) {
        return LongStream.range(0, TASKS)
                .mapToObj(seed -> FewShotTask.of(kind, seed).support(10, 0))
                .flatMap(List::stream)
                .toList();
    }

    /** The text of a seed is the same on every machine and in every version: results that were published stay comparable. */
    @Test
    void textsStayWhatTheyAre() {
        CRC32 sum = new CRC32();
        for (TaskKind kind : TaskKind.values()) {
            for (FewShotTask task : new TaskFamily(List.of(kind)).trainTasks(5)) {
                String text = task.name() + task.rule() + task.support(8, 1) + task.heldOut(8);
                sum.update(text.getBytes(StandardCharsets.UTF_8));
            }
        }
        assertThat(sum.getValue()).isEqualTo(2_867_197_682L);
    }

    @Test
    void extractedFieldsStandInTheSentence() {
        made(Extract::draw).forEach(made -> {
            List<String> keys =
                    made.task().columns().stream().map(Extract.Column::key).toList();
            String answer = made.exercise().completion().strip();
            List<String> values = switch (made.task().format()) {
                case JSON -> {
                    JsonNode json = Json.parse(answer, "completion");
                    assertThat(json.propertyStream().map(property -> property.getKey()))
                            .containsExactlyElementsOf(keys);
                    yield json.valueStream().map(JsonNode::asText).toList();
                }
                case XML -> {
                    assertThat(answer)
                            .matches(keys.stream()
                                    .map(key -> "<" + key + "> [^<>]+ </" + key + ">")
                                    .collect(Collectors.joining(" ")));
                    yield List.of(
                            answer.replaceAll("^<[^<>]+> | </[^<>]+>$", "").split(" </[^<>]+> <[^<>]+> "));
                }
                case CSV -> List.of(answer.split(", "));
                case PAIRS ->
                    Arrays.stream(answer.split("; "))
                            .map(pair -> pair.substring(pair.indexOf('=') + 2))
                            .toList();
            };
            assertThat(values).hasSameSizeAs(keys);
            assertThat(made.exercise().prompt()).endsWith("\n" + made.task().format() + ":");
            assertThat(values)
                    .allMatch(
                            value -> isNumber(value) || mentions(made.exercise().prompt(), value));
        });
    }

    private static boolean isNumber(String value) {
        return value.matches("[0-9]+");
    }

    /** Whether each word of a value stands in the prompt; deeds may be there as participles. */
    private static boolean mentions(String prompt, String value) {
        return Lexicon.DEEDS.stream().anyMatch(deed -> deed.past().equals(value))
                || Arrays.stream(value.split(" ")).allMatch(prompt::contains);
    }

    @Test
    void commandsAreWellFormed() {
        made(Code::draw).forEach(made -> {
            String function = made.task().function();
            int arguments = made.task().arguments().size();
            String pattern = switch (made.task().syntax()) {
                case CALL -> function + "\\( [^,()]+(?:, [^,()]+){" + (arguments - 1) + "} \\)";
                case METHOD -> "[^.]+\\." + function + "\\( [^,()]+(?:, [^,()]+){" + (arguments - 2) + "} \\)";
                case LISP -> "\\(" + function + "(?: [^ ()]+){" + arguments + ",}\\)";
                case SHELL -> function + "(?: --[a-z]+ [^-]+){" + arguments + "}";
            };
            assertThat(made.exercise().completion()).matches(" " + pattern);
        });
    }

    @Test
    void captionsKeepTheirFrame() {
        made(Caption::draw).forEach(made -> {
            String pattern = Pattern.quote(made.task().frame()).replace("%s", "\\E(.+)\\Q");
            Matcher caption =
                    Pattern.compile(" " + pattern).matcher(made.exercise().completion());
            assertThat(caption.matches()).as("%s", made).isTrue();
            assertThat(caption.group(1)).doesNotContain("$");
            assertThat(Arrays.stream(WordClass.values())
                            .flatMap(each -> each.words().stream())
                            .filter(word -> Pattern.compile("\\b" + word + "\\b")
                                    .matcher(caption.group(1))
                                    .find()))
                    .isNotEmpty()
                    .allMatch(made.exercise().prompt()::contains);
        });
    }

    @Test
    void labelsTakeTurns() {
        made(Relabel::draw)
                .collect(Collectors.groupingBy(
                        Made::task,
                        Collectors.mapping(made -> made.exercise().completion().strip(), Collectors.toList())))
                .forEach((task, answers) -> {
                    int classes = task.labels().size();
                    for (int i = 0; i < 10; i++) {
                        assertThat(answers.get(i)).isEqualTo(task.labels().get(i % classes));
                    }
                });
    }

    @Test
    void reorderedWordsAreTheSameWordsElsewhere() {
        made(Reorder::draw).forEach(made -> {
            List<String> words = made.list();
            List<String> answer = made.answer();
            int last = words.size() - 1;
            assertThat(answer).containsExactlyInAnyOrderElementsOf(words);
            assertThat(words).hasSize(made.task().length());
            switch (made.task().order()) {
                case REVERSED -> assertThat(answer).isEqualTo(words.reversed());
                case FIRST_LAST -> assertThat(answer.subList(0, last)).isEqualTo(words.subList(1, last + 1));
                case LAST_FIRST -> assertThat(answer.subList(1, last + 1)).isEqualTo(words.subList(0, last));
                case ENDS_SWAPPED -> {
                    assertThat(answer.subList(1, last)).isEqualTo(words.subList(1, last));
                    assertThat(answer.getFirst()).isEqualTo(words.getLast());
                }
                case START_SWAPPED -> {
                    assertThat(answer.subList(2, last + 1)).isEqualTo(words.subList(2, last + 1));
                    assertThat(answer.getFirst()).isEqualTo(words.get(1));
                }
                case SORTED -> assertThat(answer).isSortedAccordingTo(String.CASE_INSENSITIVE_ORDER);
            }
        });
    }

    @Test
    void sortedWordsAreOfTheClassesInTurn() {
        made(Sort::draw).forEach(made -> {
            List<WordClass> classes = made.task().classes();
            List<String> answer = made.answer();
            assertThat(answer).hasSameSizeAs(classes).containsExactlyInAnyOrderElementsOf(made.list());
            for (int i = 0; i < answer.size(); i++) {
                assertThat(classes.get(i).words()).contains(answer.get(i));
            }
        });
    }

    @Test
    void pickedAndCountedWordsAreThoseOfTheClass() {
        made(Pick::draw).forEach(made -> {
            assertThat(made.list()).hasSize(made.task().length());
            assertThat(made.answer())
                    .isEqualTo(made.list().stream()
                            .filter(made.task().picked().words()::contains)
                            .toList())
                    .hasSizeBetween(1, made.task().most());
        });
        made(Count::draw).forEach(made -> {
            int count = (int) made.list().stream()
                    .filter(made.task().counted().words()::contains)
                    .count();
            String answer = made.exercise().completion().strip();
            assertThat(answer).isEqualTo(made.task().inWords() ? Lexicon.numberWord(count) : String.valueOf(count));
        });
    }

    @Test
    void noWordIsInTwoClasses() {
        assertThat(Arrays.stream(WordClass.values()).flatMap(each -> each.words().stream()))
                .doesNotHaveDuplicates();
    }

    @Test
    void aKindThatIsNotThere() {
        assertThatThrownBy(() -> TaskKind.of("sing"))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("extract, code");
    }
}
