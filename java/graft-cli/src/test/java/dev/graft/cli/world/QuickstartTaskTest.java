package dev.graft.cli.world;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

class QuickstartTaskTest {
    private static final JsonMapper JSON = new JsonMapper();

    private final List<Exercise> train = QuickstartTask.train();
    private final List<Exercise> heldOut = QuickstartTask.heldOut();

    @Test
    void setsAreReproducibleAndDisjoint() {
        assertThat(train).hasSize(64).isEqualTo(QuickstartTask.train());
        assertThat(heldOut).hasSize(200).isEqualTo(QuickstartTask.heldOut());
        Set<String> completions = new HashSet<>();
        train.forEach(example -> completions.add(example.completion()));
        heldOut.forEach(example -> assertThat(completions.add(example.completion()))
                .as("%s", example)
                .isTrue());
    }

    @Test
    void halfOfTheHeldOutPeopleAndThingsAreNew() throws Exception {
        Set<String> people = values(train, "who");
        Set<String> things = values(train, "item").stream()
                .map(item -> item.substring(item.indexOf(' ') + 1))
                .collect(Collectors.toSet());
        long newPeople = 0;
        long newThings = 0;
        for (Exercise example : heldOut) {
            JsonNode json = JSON.readTree(example.completion());
            newPeople += people.contains(json.get("who").asText()) ? 0 : 1;
            newThings += things.contains(json.get("item").asText().split(" ")[1]) ? 0 : 1;
        }
        assertThat(newPeople).isGreaterThanOrEqualTo(100);
        assertThat(newThings).isGreaterThanOrEqualTo(100);
    }

    @Test
    void completionsAreJsonAndTheirValuesStandInThePrompt() throws Exception {
        for (Exercise example : heldOut) {
            JsonNode json = JSON.readTree(example.completion());
            assertThat(json.propertyStream().map(Map.Entry::getKey)).containsExactly("who", "count", "item", "day");
            assertThat(example.prompt())
                    .startsWith("Read: ")
                    .endsWith("\nJSON:")
                    .contains(json.get("who").asText(), json.get("day").asText());
            assertThat(json.get("count").isInt()).isTrue();
        }
    }

    @Test
    void dataLinesCarryPromptAndCompletion() throws Exception {
        JsonNode line = JSON.readTree(train.getFirst().toJsonLine());

        assertThat(line.size()).isEqualTo(2);
        assertThat(line.get("prompt").asText()).isEqualTo(train.getFirst().prompt());
        assertThat(line.get("completion").asText()).isEqualTo(train.getFirst().completion());
        assertThat(train.getFirst().toJsonLine()).doesNotContain("\n");
    }

    @Test
    void onlyTheWholeAnswerCounts() {
        Exercise example = train.getFirst();

        assertThat(example.isAnsweredBy(example.completion())).isTrue();
        assertThat(example.isAnsweredBy(example.completion().strip() + "\n")).isTrue();
        assertThat(example.isAnsweredBy(example.completion() + "}")).isFalse();
        assertThat(example.isAnsweredBy("")).isFalse();
        assertThat(example.isAnsweredBy(train.getLast().completion())).isFalse();
    }

    private static Set<String> values(List<Exercise> examples, String key) throws Exception {
        Set<String> values = new HashSet<>();
        for (Exercise example : examples) {
            values.add(JSON.readTree(example.completion()).get(key).asText());
        }
        return values;
    }
}
