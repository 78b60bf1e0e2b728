package dev.graft.cli.compare;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.graft.cli.console.Units;
import dev.graft.io.Json;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/**
 * Something that is said of LoRA, beside what was measured.
 *
 * @param figure the measurement
 */
public record Claim(String text, String figure, Verdict verdict) {
    /** Whether the measurement agrees. */
    public enum Verdict {
        HOLDS("holds"),
        DOES_NOT_HOLD("does not hold"),
        /** Two figures are closer to each other than this comparison can tell apart. */
        NO_DIFFERENCE("no difference");

        private final String words;

        Verdict(String words) {
            this.words = words;
        }

        /** As a report says it. */
        String words() {
            return words;
        }

        static Verdict of(boolean holds) {
            return holds ? HOLDS : DOES_NOT_HOLD;
        }

        /** Of "{@code more} is more than {@code less}", where figures within {@code margin} of each other are alike. */
        static Verdict ofMore(double more, double less, double margin) {
            if (Math.abs(more - less) <= margin) {
                return NO_DIFFERENCE;
            }
            return of(more > less);
        }
    }

    private static final double SMALL_SHARE = 0.05;
    /** Percentage points within which two scores count as the same. */
    private static final double POINTS = 2;
    /** The share by which two times, losses or perplexities must differ to count as different. */
    private static final double SHARE = 0.02;

    Claim(String text, String figure, boolean holds) {
        this(text, figure, Verdict.of(holds));
    }

    ObjectNode json() {
        return Json.mapper()
                .createObjectNode()
                .put("claim", text)
                .put("figure", figure)
                .put("verdict", verdict.words());
    }

    /**
     * What the rows of a comparison say; a claim whose rows are missing is left out.
     *
     * @param rank of the LoRA that is compared with other methods: one fixed beforehand, not the one that came out best
     */
    static List<Claim> of(List<CompareRow> rows, int rank) {
        List<Claim> claims = new ArrayList<>();
        int most = rows.stream().mapToInt(CompareRow::shots).max().orElse(0);
        List<CompareRow> trained =
                rows.stream().filter(row -> row.shots() == most && most > 0).toList();
        Optional<CompareRow> full = method(trained, "full");
        Optional<CompareRow> lora = trained.stream()
                .filter(row -> row.method().equals("lora") && row.rank() != null && row.rank() == rank)
                .findFirst();
        if (lora.isPresent() && full.isPresent()) {
            claims.add(accuracy(lora.get(), full.get(), rows.getFirst()));
            claims.add(size(lora.get(), full.get()));
            forgetting(lora.get(), full.get()).ifPresent(claims::add);
        }
        trained.stream()
                .filter(row -> row.method().equals("lora"))
                .max(Comparator.comparingDouble(
                        row -> Optional.ofNullable(row.tokenMs().mergedRatio()).orElse(0.0)))
                .flatMap(Claim::merged)
                .ifPresent(claims::add);
        method(trained, "adapter")
                .ifPresent(row -> claims.add(new Claim(
                        "adapter modules make a token slower",
                        "x " + Units.fixed(row.tokenMs().separateRatio(), 3) + " of the base's time a token",
                        Verdict.ofMore(row.tokenMs().separateRatio(), 1, SHARE))));
        ranks(trained).ifPresent(claims::add);
        return claims;
    }

    private static Optional<CompareRow> method(List<CompareRow> rows, String method) {
        return rows.stream().filter(row -> row.method().equals(method)).findFirst();
    }

    private static Claim accuracy(CompareRow lora, CompareRow full, CompareRow base) {
        boolean scored = Double.isFinite(lora.score().mean());
        String with =
                ", with " + Units.fixed(100 * lora.trainableShare(), 1) + " % of the numbers (" + lora.label() + ")";
        String figure = scored
                ? Units.fixed(lora.score().mean(), 1) + " % right against "
                        + Units.fixed(full.score().mean(), 1) + " %" + with
                : "held-out loss " + Units.fixed(lora.loss().mean(), 3) + " against "
                        + Units.fixed(full.loss().mean(), 3) + with;
        boolean asWell = scored
                ? lora.score().mean() >= full.score().mean() - POINTS
                : lora.loss().mean() <= (1 + SHARE) * full.loss().mean();
        boolean learned = scored
                ? full.score().mean() > base.score().mean() + POINTS
                : full.loss().mean() < (1 - SHARE) * base.loss().mean();
        Verdict verdict = learned
                ? Verdict.of(asWell && lora.trainableShare() <= SMALL_SHARE)
                : Verdict.NO_DIFFERENCE; // where nothing is learned, nothing is compared
        return new Claim("LoRA with at most 5 % of the numbers learns as well as full fine-tuning", figure, verdict);
    }

    private static Claim size(CompareRow lora, CompareRow full) {
        return new Claim(
                "a task takes a small file instead of a copy of the model",
                Units.bytes(lora.bytesPerTask()) + " against " + Units.bytes(full.bytesPerTask()),
                lora.bytesPerTask() < full.bytesPerTask());
    }

    private static Optional<Claim> forgetting(CompareRow lora, CompareRow full) {
        double fullForgot = full.forgetting().mean();
        double loraForgot = lora.forgetting().mean();
        if (!Double.isFinite(fullForgot)) {
            return Optional.empty();
        }
        return Optional.of(new Claim(
                "full fine-tuning on few examples forgets more",
                "perplexity on the base's own text x " + Units.fixed(fullForgot, 2) + ", with " + lora.label() + " x "
                        + Units.fixed(loraForgot, 2),
                Verdict.ofMore(fullForgot, loraForgot, SHARE * loraForgot)));
    }

    private static Optional<Claim> merged(CompareRow lora) {
        Double ratio = lora.tokenMs().mergedRatio();
        return ratio == null
                ? Optional.empty()
                : Optional.of(new Claim(
                        "merged, LoRA costs nothing at inference",
                        "at most x " + Units.fixed(ratio, 3) + " of the base's time a token; not merged x "
                                + Units.fixed(lora.tokenMs().separateRatio(), 3),
                        ratio <= 1 + SHARE));
    }

    private static Optional<Claim> ranks(List<CompareRow> rows) {
        List<CompareRow> lora = rows.stream()
                .filter(row -> row.method().equals("lora"))
                .sorted(Comparator.comparingLong(CompareRow::trainable))
                .toList();
        if (lora.size() < 2) {
            return Optional.empty();
        }
        CompareRow least = lora.getFirst();
        CompareRow largest = lora.getLast();
        return Optional.of(new Claim(
                "rank trades capacity for size",
                "held-out loss " + Units.fixed(least.loss().mean(), 3) + " at rank " + least.rank() + ", "
                        + Units.fixed(largest.loss().mean(), 3) + " at rank " + largest.rank() + "; "
                        + Units.bytes(least.bytesPerTask()) + " and " + Units.bytes(largest.bytesPerTask()),
                Verdict.ofMore(
                        least.loss().mean(),
                        largest.loss().mean(),
                        SHARE * largest.loss().mean())));
    }
}
