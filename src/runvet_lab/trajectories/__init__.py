"""Vehicle image, roadside image and a sentence to the car's next 4.5 seconds, in healthy and sick configurations."""
