package dev.graft.cli.tasks;

import dev.graft.cli.world.Exercise;
import dev.graft.cli.world.Grammar;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.random.RandomGenerator;

/** The words of a list in another order. */
record Reorder(Order order, int length, Separator separator) implements TaskDefinition {
    private static final int SHORTEST = 3;
    private static final int LONGEST = 5;

    /** The order to bring words into. */
    enum Order {
        REVERSED("backwards") {
            @Override
            List<String> apply(List<String> words) {
                return words.reversed();
            }
        },
        FIRST_LAST("the first word moved to the end") {
            @Override
            List<String> apply(List<String> words) {
                return rotated(words, -1);
            }
        },
        LAST_FIRST("the last word moved to the front") {
            @Override
            List<String> apply(List<String> words) {
                return rotated(words, 1);
            }
        },
        ENDS_SWAPPED("the first and the last word swapped") {
            @Override
            List<String> apply(List<String> words) {
                return swapped(words, 0, words.size() - 1);
            }
        },
        START_SWAPPED("the first two words swapped") {
            @Override
            List<String> apply(List<String> words) {
                return swapped(words, 0, 1);
            }
        },
        SORTED("by the alphabet") {
            @Override
            List<String> apply(List<String> words) {
                return words.stream().sorted(String.CASE_INSENSITIVE_ORDER).toList();
            }
        };

        private final String words;

        Order(String words) {
            this.words = words;
        }

        abstract List<String> apply(List<String> words);

        private static List<String> rotated(List<String> words, int distance) {
            List<String> rotated = new ArrayList<>(words);
            Collections.rotate(rotated, distance);
            return rotated;
        }

        private static List<String> swapped(List<String> words, int a, int b) {
            List<String> swapped = new ArrayList<>(words);
            Collections.swap(swapped, a, b);
            return swapped;
        }
    }

    static Reorder draw(RandomGenerator random) {
        return new Reorder(
                Grammar.pick(List.of(Order.values()), random),
                random.nextInt(SHORTEST, LONGEST + 1),
                Grammar.pick(List.of(Separator.values()), random));
    }

    @Override
    public String slug() {
        return TaskDefinition.slug(order) + "-" + length + "-" + TaskDefinition.slug(separator);
    }

    @Override
    public String rule() {
        return length + " words separated by " + TaskDefinition.slug(separator) + ", " + order.words;
    }

    @Override
    public Sample sample(int index, RandomGenerator random) {
        List<String> words = WordClass.drawAny(length, random);
        String completion = " " + separator.join(order.apply(words));
        return new Sample(completion, new Exercise(Prompts.list(words, separator, "Order"), completion));
    }
}
