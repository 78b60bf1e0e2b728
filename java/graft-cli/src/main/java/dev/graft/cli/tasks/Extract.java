package dev.graft.cli.tasks;

import dev.graft.cli.world.Exercise;
import dev.graft.cli.world.Fact;
import dev.graft.cli.world.Grammar;
import dev.graft.cli.world.NoteEntry;
import java.util.ArrayList;
import java.util.List;
import java.util.random.RandomGenerator;
import java.util.stream.Collectors;

/** Some fields of a sentence, in some order, under some names, written as JSON, XML, CSV or pairs. */
record Extract(Format format, List<Column> columns) implements TaskDefinition {
    private static final int MOST_COLUMNS = 3;

    /** A field and the key under which it is asked for. */
    record Column(NoteEntry entry, String key) {}

    /** How keys and values are written down: values after a space, for without one the base model confuses them. */
    enum Format {
        JSON("{", ", ", "}") {
            @Override
            String entry(String key, String value, boolean isNumber) {
                return "\"" + key + "\": " + (isNumber ? value : "\"" + value + "\"");
            }
        },
        XML("", " ", "") {
            @Override
            String entry(String key, String value, boolean isNumber) {
                return "<" + key + "> " + value + " </" + key + ">";
            }
        },
        CSV("", ", ", "") {
            @Override
            String entry(String key, String value, boolean isNumber) {
                return value;
            }
        },
        PAIRS("", "; ", "") {
            @Override
            String entry(String key, String value, boolean isNumber) {
                return key + " = " + value;
            }
        };

        private final String open;
        private final String joiner;
        private final String close;

        Format(String open, String joiner, String close) {
            this.open = open;
            this.joiner = joiner;
            this.close = close;
        }

        abstract String entry(String key, String value, boolean isNumber);
    }

    static Extract draw(RandomGenerator random) {
        Format format = Grammar.pick(List.of(Format.values()), random);
        List<NoteEntry> entries = Prompts.drawEntries(MOST_COLUMNS, random);
        List<Column> columns = new ArrayList<>();
        for (NoteEntry entry : entries) {
            columns.add(new Column(entry, entry.drawName(false, random).replace(' ', '_')));
        }
        return new Extract(format, columns);
    }

    Extract {
        columns = List.copyOf(columns);
    }

    @Override
    public String slug() {
        return TaskDefinition.slug(format) + "-"
                + columns.stream()
                        .map(column -> TaskDefinition.slug(column.entry))
                        .collect(Collectors.joining("-"));
    }

    @Override
    public String rule() {
        return "of a sentence, "
                + columns.stream()
                        .map(column -> TaskDefinition.slug(column.entry))
                        .collect(Collectors.joining(", "))
                + " as "
                + format
                + columns.stream()
                        .map(column -> format.entry(column.key, "…", false))
                        .collect(Collectors.joining(format.joiner, " " + format.open, format.close));
    }

    @Override
    public Sample sample(int index, RandomGenerator random) {
        Fact fact = Grammar.fact(random);
        String completion = columns.stream()
                .map(column ->
                        format.entry(column.key, column.entry.value(fact, false), column.entry == NoteEntry.COUNT))
                .collect(Collectors.joining(format.joiner, " " + format.open, format.close));
        return new Sample(completion, new Exercise(Prompts.read(fact, format.name(), random), completion));
    }
}
