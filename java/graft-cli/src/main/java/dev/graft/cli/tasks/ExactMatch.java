package dev.graft.cli.tasks;

import dev.graft.cli.world.Exercise;
import dev.graft.data.Tokenizer;
import dev.graft.model.Generator;
import dev.graft.model.LanguageModel;
import dev.graft.model.Sampling;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.function.IntPredicate;
import java.util.stream.Collectors;

/**
 * How many exercises a model answers exactly, greedily. An answer ends at an end token, or at the end of its line where
 * the right one has one line only, or when it is {@link #SPARE_TOKENS} longer than the right one.
 *
 * @param answers what the model said to each exercise
 * @param correct how many were right
 */
public record ExactMatch(List<String> answers, int correct) {
    /** The right answer can be spelt in more tokens than the tokenizer takes; much longer ones are wrong. */
    private static final int SPARE_TOKENS = 8;

    public ExactMatch {
        answers = List.copyOf(answers);
        if (answers.isEmpty() || correct < 0 || correct > answers.size()) {
            throw new IllegalArgumentException(correct + " right of " + answers.size() + " answers");
        }
    }

    /** Asks a model every exercise; there must be one at least. */
    public static ExactMatch of(LanguageModel model, Tokenizer tokenizer, List<Exercise> exercises) {
        Set<Integer> endTokens = Arrays.stream(tokenizer.eosIds()).boxed().collect(Collectors.toSet());
        List<Question> questions = exercises.stream()
                .map(exercise -> Question.of(exercise, tokenizer))
                .toList();
        int maxTokens = questions.stream()
                .mapToInt(Question::maxTokens)
                .max()
                .orElseThrow(() -> new IllegalArgumentException("there is nothing to answer"));
        List<String> answers = new ArrayList<>(exercises.size());
        int correct = 0;
        try (Generator generator = new Generator(model, maxTokens)) {
            for (Question question : questions) {
                Answer answer = new Answer(tokenizer, question.isOneLine());
                generator.generate(question.prompt(), question.maxAnswer(), Sampling.GREEDY, endTokens, answer);
                String text = answer.text();
                answers.add(text);
                correct += question.exercise().isAnsweredBy(text) ? 1 : 0;
            }
        }
        return new ExactMatch(answers, correct);
    }

    /** Percent of the answers that were right. */
    public double percent() {
        return 100.0 * correct / answers.size();
    }

    /** In how many answers two models agree. */
    public int agreement(ExactMatch other) {
        int same = 0;
        for (int i = 0; i < answers.size(); i++) {
            same += answers.get(i).equals(other.answers.get(i)) ? 1 : 0;
        }
        return same;
    }

    private record Question(Exercise exercise, int[] prompt, int maxAnswer) {
        static Question of(Exercise exercise, Tokenizer tokenizer) {
            return new Question(
                    exercise,
                    tokenizer.encode(exercise.prompt(), true),
                    tokenizer.encode(exercise.completion(), false).length + SPARE_TOKENS);
        }

        int maxTokens() {
            return prompt.length + maxAnswer;
        }

        boolean isOneLine() {
            return !exercise.completion().strip().contains("\n");
        }
    }

    /** Takes an answer's tokens until it is whole. */
    private static final class Answer implements IntPredicate {
        private final Tokenizer tokenizer;
        private final boolean oneLine;
        private int[] ids = new int[32];
        private int length;
        private boolean hasBegun;

        Answer(Tokenizer tokenizer, boolean oneLine) {
            this.tokenizer = tokenizer;
            this.oneLine = oneLine;
        }

        @Override
        public boolean test(int token) {
            String piece = tokenizer.decode(new int[] {token}, true);
            if (oneLine && hasBegun && piece.contains("\n")) {
                return false;
            }
            if (length == ids.length) {
                ids = Arrays.copyOf(ids, 2 * length);
            }
            ids[length++] = token;
            hasBegun |= !piece.isBlank();
            return true;
        }

        String text() {
            return tokenizer.decode(Arrays.copyOf(ids, length), true);
        }
    }
}
