package dev.graft.cli.tasks;

import dev.graft.cli.world.Exercise;
import dev.graft.cli.world.Fact;
import dev.graft.cli.world.Grammar;
import dev.graft.cli.world.NoteEntry;
import java.util.List;
import java.util.random.RandomGenerator;
import java.util.stream.Collectors;

/** A sentence as a command of a small language: a function's name and some fields of the sentence as its arguments. */
record Code(Syntax syntax, String function, List<NoteEntry> arguments) implements TaskDefinition {
    private static final List<String> FUNCTIONS =
            List.of("put", "add", "log", "send", "store", "push", "emit", "run", "call", "track");
    private static final int MOST_ARGUMENTS = 3;

    /** The grammar of a command. */
    enum Syntax {
        /** {@code put( Joseph, 8, silver cakes )}. */
        CALL {
            @Override
            String write(String function, List<NoteEntry> arguments, List<String> values) {
                return function + "( " + String.join(", ", values) + " )";
            }
        },
        /** {@code Joseph.put( 8, silver cakes )}. */
        METHOD {
            @Override
            String write(String function, List<NoteEntry> arguments, List<String> values) {
                return values.getFirst() + "." + CALL.write(function, arguments, values.subList(1, values.size()));
            }
        },
        /** {@code (put Joseph 8 silver cakes)}. */
        LISP {
            @Override
            String write(String function, List<NoteEntry> arguments, List<String> values) {
                return "(" + function + " " + String.join(" ", values) + ")";
            }
        },
        /** {@code put --who Joseph --count 8 --items silver cakes}. */
        SHELL {
            @Override
            String write(String function, List<NoteEntry> arguments, List<String> values) {
                StringBuilder command = new StringBuilder(function);
                for (int i = 0; i < values.size(); i++) {
                    command.append(" --")
                            .append(TaskDefinition.slug(arguments.get(i)))
                            .append(' ')
                            .append(values.get(i));
                }
                return command.toString();
            }
        };

        abstract String write(String function, List<NoteEntry> arguments, List<String> values);
    }

    static Code draw(RandomGenerator random) {
        return new Code(
                Grammar.pick(List.of(Syntax.values()), random),
                Grammar.pick(FUNCTIONS, random),
                Prompts.drawEntries(MOST_ARGUMENTS, random));
    }

    Code {
        arguments = List.copyOf(arguments);
    }

    @Override
    public String slug() {
        return TaskDefinition.slug(syntax) + "-" + function + "-"
                + arguments.stream().map(TaskDefinition::slug).collect(Collectors.joining("-"));
    }

    @Override
    public String rule() {
        return "a sentence as the command "
                + syntax.write(
                        function,
                        arguments,
                        arguments.stream().map(TaskDefinition::slug).toList());
    }

    @Override
    public Sample sample(int index, RandomGenerator random) {
        Fact fact = Grammar.fact(random);
        List<String> values =
                arguments.stream().map(entry -> entry.value(fact, false)).toList();
        String completion = " " + syntax.write(function, arguments, values);
        return new Sample(completion, new Exercise(Prompts.read(fact, "Code", random), completion));
    }
}
